//! The value of an environment variable as a value of relay.toml. The key decides how the
//! text is read, so a name of digits stays a name:
//!
//! | the key is | the text is |
//! |---|---|
//! | a string | itself, without quotation marks |
//! | a number, or true or false | as in relay.toml |
//! | a list | its items, separated by commas |
//!
//! For a key with several kinds of values, a comma makes a list.

use std::str::FromStr;

use serde::de::Deserializer;
use serde::de::Error as _;
use serde::de::IntoDeserializer;
use serde::de::Visitor;
use serde::de::value::Error;
use serde::de::value::SeqDeserializer;
use serde::de::value::StrDeserializer;

/// The text of a variable.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

impl<'a> Text<'a> {
    /// Refuses what belongs to a file: a value within quotation marks, as in an env file.
    fn plain(self) -> Result<&'a str, Error> {
        let quoted = |mark| {
            let inner = self.0.strip_prefix(mark);
            inner.is_some_and(|it| it.ends_with(mark))
        };
        if quoted('"') || quoted('\'') {
            return Err(Error::custom(
                "the value is in quotation marks, which belong to it in an environment variable: \
                 remove them",
            ));
        }
        Ok(self.0)
    }

    fn number<T: FromStr>(self) -> Result<T, Error> {
        let text = self.plain()?.trim();
        text.parse::<T>().map_err(|_| {
            Error::custom(match text.parse::<i128>() {
                Ok(..0) => "must not be negative",
                Ok(0..) => "the number is too large",
                Err(_) => "write a number, like 5",
            })
        })
    }

    fn items(self) -> Result<Vec<Self>, Error> {
        let text = self.0.trim();
        if text.starts_with('[') && text.ends_with(']') && text.contains(['"', '\'']) {
            return Err(Error::custom(
                "in an environment variable, write a list without brackets and quotation marks, \
                 and commas between its items",
            ));
        }
        let items = text.split(',').map(str::trim);
        if items.clone().any(str::is_empty) {
            return Err(Error::custom(
                "the list has an empty item: write one comma between two items, and none at the end",
            ));
        }
        Ok(items.map(Self).collect())
    }
}

macro_rules! numbers {
    ($($method:ident, $visit:ident;)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit(self.number()?)
        })+
    };
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    /// For keys with several kinds of values.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let text = self.plain()?.trim();
        if text.contains(',') {
            return self.deserialize_seq(visitor);
        }
        if let Ok(number) = text.parse::<i64>() {
            return visitor.visit_i64(number);
        }
        match text {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => visitor.visit_borrowed_str(self.0),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.plain()?.trim() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Error::custom("write true or false")),
        }
    }

    numbers! {
        deserialize_i8, visit_i8;
        deserialize_i16, visit_i16;
        deserialize_i32, visit_i32;
        deserialize_i64, visit_i64;
        deserialize_u8, visit_u8;
        deserialize_u16, visit_u16;
        deserialize_u32, visit_u32;
        deserialize_u64, visit_u64;
        deserialize_f32, visit_f32;
        deserialize_f64, visit_f64;
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.plain()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.items()?.into_iter()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let word = StrDeserializer::<Error>::new(self.plain()?.trim());
        word.deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
