//! The list of devices: those that a search finds, a page at a time. Search, state and page
//! are in its address. Only the first page updates itself: whoever has turned a page reads it.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;

use super::Row;
use super::encoded;
use super::texts::DevicesTexts;
use crate::admin::DeviceState;
use crate::admin::DeviceView;
use crate::page::Broken;
use crate::page::Page;
use crate::page::layout::Layout;
use crate::page::layout::Tab;
use crate::page::visitor::Role;
use crate::page::visitor::Visitor;

/// Devices on one page.
const ROWS: usize = 100;
/// Characters of a search that are read.
const LONGEST: usize = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    q: String,
    state: String,
    page: String,
}

/// A state that can be chosen.
struct Choice {
    value: &'static str,
    title: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    layout: Layout,
    rows: Vec<Row>,
    /// Whether the visitor may add one.
    may_add: bool,
    asked: Asked,
    states: Vec<Choice>,
    /// Whether there is any device at all.
    is_empty: bool,
    /// Which rows these are, of how many; nothing if they are all.
    range: Option<String>,
    previous: Option<String>,
    next: Option<String>,
}

pub(super) async fn show(
    State(page): State<Arc<Page>>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Broken> {
    let layout = page.layout(&visitor, Some(Tab::Devices)).await?;
    let texts = &visitor.texts().devices;
    let all = page.admin_state.devices();
    let is_empty = all.is_empty();
    let words: String = asked.q.trim().chars().take(LONGEST).collect();
    let words = words.to_lowercase();
    let found: Vec<DeviceView> = all.into_iter().filter(|it| matches(it, &words)).collect();
    let states = states(&found, &asked.state, texts);
    let is_chosen = |it: &DeviceView| asked.state.is_empty() || it.state.name() == asked.state;
    let chosen: Vec<DeviceView> = found.into_iter().filter(is_chosen).collect();
    let count = chosen.len();
    let last = count.div_ceil(ROWS).max(1);
    let number = asked.page.parse().unwrap_or(1).clamp(1, last);
    let skipped = (number - 1) * ROWS;
    let now = page.admin_state.means.clock.now();
    let rows = chosen.into_iter().skip(skipped).take(ROWS);
    let rows: Vec<Row> = rows.map(|it| Row::of(it, now, visitor.texts())).collect();
    let turned = |to: usize| (1..=last).contains(&to).then(|| path(&asked, to));
    crate::page::shown(&Devices {
        range: (last > 1).then(|| (texts.range)(skipped + 1, skipped + rows.len(), count)),
        previous: turned(number - 1),
        next: turned(number + 1),
        may_add: visitor.require(Role::Administrator).is_ok(),
        layout,
        rows,
        asked,
        states,
        is_empty,
    })
}

/// Whether all words, in small letters, are somewhere in what is known of a device.
fn matches(device: &DeviceView, words: &str) -> bool {
    if words.is_empty() {
        return true;
    }
    let client = device.client.map(|client| client.to_string());
    let known = [&client, &device.user, &device.hello];
    let known = known.into_iter().flatten().chain(&device.senders);
    let known: Vec<String> = known.map(|text| text.to_lowercase()).collect();
    let has = |word: &str| known.iter().any(|text| text.contains(word));
    words.split_whitespace().all(has)
}

/// The states, each with the number of devices.
fn states(found: &[DeviceView], chosen: &str, texts: &DevicesTexts) -> Vec<Choice> {
    let of = |state: DeviceState| Choice {
        value: state.name(),
        title: {
            let count = found.iter().filter(|it| it.state == state).count();
            format!("{} ({count})", (texts.state)(state))
        },
        is_chosen: state.name() == chosen,
    };
    let all = Choice {
        value: "",
        title: format!("{} ({})", texts.all, found.len()),
        is_chosen: chosen.is_empty(),
    };
    std::iter::once(all)
        .chain(DeviceState::ALL.map(of))
        .collect()
}

fn path(asked: &Asked, page: usize) -> String {
    let (words, state) = (encoded(&asked.q), encoded(&asked.state));
    let mut set = Vec::new();
    if !words.is_empty() {
        set.push(format!("q={words}"));
    }
    if !state.is_empty() {
        set.push(format!("state={state}"));
    }
    if page > 1 {
        set.push(format!("page={page}"));
    }
    match set.is_empty() {
        true => "/devices".to_owned(),
        false => format!("/devices?{}", set.join("&")),
    }
}
