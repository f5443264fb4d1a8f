//! The pages of the book that are made from the code, as a preprocessor of mdBook.
//!
//! mdBook calls this program when it builds the book (`docs/book.toml`), with the book as JSON on
//! standard input, and prints what comes back. It fills in the marked places of the pages below
//! `docs/src/reference/`, and adds a page for each code of the catalogue below "When it fails". So
//! none of this text is in the repository twice, and none can be out of date.
//!
//! It is an example of the relay's package: built, linted and tested with everything else, and no
//! part of the relay. It needs no crate of mdBook's: of the JSON (mdBook's page "Preprocessors") it
//! touches the text of chapters and the list of those below them. `tests/it/reference.rs` includes
//! the same `pages/`, and compares them with what the relay itself says.

mod pages;

use std::error::Error;
use std::io;

use serde_json::Value;
use serde_json::json;

use self::pages::Page;

/// The chapter that the pages about codes stand below.
const ABOVE_CODES: &str = "fails/README.md";

fn main() -> Result<(), Box<dyn Error>> {
    // `supports RENDERER`: text is text for each of them.
    if std::env::args().nth(1).is_some_and(|it| it == "supports") {
        return Ok(());
    }
    let (_context, mut book): (Value, Value) = serde_json::from_reader(io::stdin().lock())?;
    let items = book.get_mut("items").and_then(Value::as_array_mut);
    let items = items.ok_or("the book has no items: this needs mdBook 0.5")?;
    for item in items {
        complete(item)?;
    }
    serde_json::to_writer(io::stdout().lock(), &book)?;
    Ok(())
}

/// Fills in a chapter and those below it; separators and titles of parts stay as they are.
fn complete(item: &mut Value) -> Result<(), Box<dyn Error>> {
    let Some(chapter) = item.get_mut("Chapter") else {
        return Ok(());
    };
    if let Some(content) = chapter.get_mut("content") {
        let text = content.as_str().unwrap_or_default();
        *content = pages::filled(text)?.into();
    }
    if chapter.get("path").and_then(Value::as_str) == Some(ABOVE_CODES) {
        let below = chapters(&pages::codes(), chapter);
        if let Some(list) = chapter.get_mut("sub_items") {
            *list = below;
        }
        return Ok(());
    }
    let below = chapter.get_mut("sub_items").and_then(Value::as_array_mut);
    below.into_iter().flatten().try_for_each(complete)
}

/// Pages as chapters below another one, and the pages below them as theirs.
fn chapters(pages: &[Page], above: &Value) -> Value {
    let list = |name: &str| above.get(name).and_then(Value::as_array).cloned();
    let mut parents = list("parent_names").unwrap_or_default();
    parents.extend(above.get("name").cloned());
    let number = list("number").unwrap_or_default();
    let chapters = (1..).zip(pages).map(|(at, page)| {
        let mut number = number.clone();
        number.push(Value::from(at));
        let mut chapter = json!({
            "name": page.title,
            "content": page.text,
            "number": number,
            "sub_items": [],
            "path": page.path,
            "source_path": null,
            "parent_names": parents,
        });
        let below = chapters(&page.below, &chapter);
        if let Some(list) = chapter.get_mut("sub_items") {
            *list = below;
        }
        json!({ "Chapter": chapter })
    });
    chapters.collect()
}
