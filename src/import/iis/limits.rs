//! The limits of a virtual server. The relay has each once, for all listeners.

use super::MESSAGE_SIZES;
use super::Reading;

impl Reading<'_> {
    pub(super) fn limits(&mut self) {
        self.limit(
            "MaxMessageSize",
            "message_size",
            |size| MESSAGE_SIZES.contains(&size),
            |size| format!("\"{size} B\""),
        );
        let is_number = |number: u64| (1..=1_000_000).contains(&number);
        self.limit("MaxRecipients", "recipients", is_number, |number| {
            number.to_string()
        });
        self.limit("HopCount", "received_headers", is_number, |number| {
            number.to_string()
        });
        self.limit(
            "MaxConnections",
            "connections",
            |it| (1..100_000).contains(&it),
            |number| number.to_string(),
        );
        self.limit(
            "ConnectionTimeout",
            "command_timeout",
            |it| (1..=86_400).contains(&it),
            |seconds| format!("\"{seconds}s\""),
        );
        self.change(
            "MaxSessionSize",
            "the relay limits each message, not the session: message_size of [limits]",
        );
        self.change(
            "MaxMessagesPerConnection",
            "a client may send any number of messages on one connection",
        );
        self.change(
            "MaxBatchedMessages",
            "a client may send any number of messages on one connection",
        );
    }

    fn limit(
        &mut self,
        name: &'static str,
        key: &'static str,
        fits: impl Fn(u64) -> bool,
        written: impl Fn(u64) -> String,
    ) {
        let Some(value) = self.server.get(name) else {
            return;
        };
        let number = value.parse::<u64>().ok().filter(|it| fits(*it));
        let key_of = format!("{key} of [limits]");
        self.once(name, &key_of, |it| match number {
            Some(number) => {
                it.found.draft.limit(key, &written(number));
                it.take(name, &key_of);
            }
            None => it.change(name, &format!("{key_of} keeps its default: IIS has no limit, or one that the relay does not allow")),
        });
    }
}
