//! Which arrivals get a connection and which sessions must go, with a clock that tests
//! move.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Arrival;
use super::Party;
use super::Plan;
use super::Refusal;
use super::Room;
use super::Slot;
use super::Slots;
use super::stage::Event;
use crate::mail::Client;

/// Two listeners and this machine have 4 connections each of 20.
const PLAN: Plan = Plan {
    connections: 20,
    per_client: 100,
    per_local_client: None,
    reserved: 4,
    listeners: 2,
    is_local: true,
};

fn arrival(listener: usize, client: &str) -> Arrival {
    Arrival {
        listener,
        party: Party::Client(Client::at(client.parse().unwrap())),
    }
}

fn enter(slots: &Slots, plan: &Plan, arrival: Arrival, room: Room) -> Result<Slot, Refusal> {
    slots.enter(arrival, plan, room, &CancellationToken::new())
}

/// As many as find room without making another session go.
fn fill(slots: &Slots, plan: &Plan, arrival: Arrival) -> Vec<Slot> {
    std::iter::from_fn(|| enter(slots, plan, arrival, Room::Free).ok()).collect()
}

fn is_sent_away(slot: &Slot) -> bool {
    slot.leave().is_cancelled()
}

#[tokio::test]
async fn a_flood_on_one_listener_leaves_the_others_and_this_machine_their_reserve() {
    let slots = Slots::default();

    let flood = fill(&slots, &PLAN, arrival(1, "192.0.2.1"));
    assert_eq!(flood.len(), 12);
    let lan = fill(&slots, &PLAN, arrival(0, "192.0.2.2"));
    assert_eq!(lan.len(), 4);
    let here = fill(&slots, &PLAN, arrival(0, "127.0.0.1"));
    assert_eq!(here.len(), 4);

    assert_eq!(slots.taken(), PLAN.connections);
}

#[tokio::test]
async fn a_flood_from_this_machine_leaves_the_other_listener_its_reserve() {
    let slots = Slots::default();

    let flood = fill(&slots, &PLAN, arrival(1, "127.0.0.2"));
    assert_eq!(flood.len(), 16);
    let other = fill(&slots, &PLAN, arrival(0, "127.0.0.1"));
    assert_eq!(other.len(), 4);
}

#[tokio::test]
async fn no_connections_are_kept_where_nobody_can_use_them() {
    let slots = Slots::default();
    let alone = Plan {
        listeners: 1,
        is_local: false,
        ..PLAN
    };
    let all = fill(&slots, &alone, arrival(0, "192.0.2.1"));
    assert_eq!(all.len(), PLAN.connections);

    let few = Plan {
        connections: 2,
        ..PLAN
    };
    let slots = Slots::default();
    assert_eq!(fill(&slots, &few, arrival(1, "192.0.2.1")).len(), 2);
}

#[tokio::test]
async fn a_64_has_the_share_of_one_client_and_this_machine_any() {
    let slots = Slots::default();
    let plan = Plan {
        per_client: 3,
        ..PLAN
    };
    let mut held = Vec::new();
    for n in 0..3 {
        let address = format!("2001:db8::{n}");
        held.push(enter(&slots, &plan, arrival(0, &address), Room::Made).unwrap());
    }
    let refused = |address: &str| enter(&slots, &plan, arrival(0, address), Room::Made).err();

    assert_eq!(refused("2001:db8::9:9"), Some(Refusal::Client));
    assert_eq!(refused("2001:db8:0:1::1"), None);
    assert!(held.iter().all(|slot| !is_sent_away(slot)));
    drop(held.pop());
    assert_eq!(refused("2001:db8::9:9"), None);

    let here = (0..5).map(|_| enter(&slots, &plan, arrival(0, "127.0.0.1"), Room::Free));
    assert_eq!(here.collect::<Vec<_>>().iter().flatten().count(), 5);
    let written = Plan {
        per_local_client: Some(0),
        ..plan
    };
    let refused = enter(&slots, &written, arrival(0, "::1"), Room::Free).err();
    assert_eq!(refused, Some(Refusal::Client));
}

#[tokio::test]
async fn the_oldest_session_without_mail_makes_room() {
    let slots = Slots::default();
    let mut flood = fill(&slots, &PLAN, arrival(1, "127.0.0.2"));
    flood[0].mark(Event::Mail);
    flood[1].mark(Event::Authenticated);
    let local = arrival(0, "127.0.0.1");
    let mut ours = fill(&slots, &PLAN, local);

    ours.push(enter(&slots, &PLAN, local, Room::Made).unwrap());

    let sent_away = |slots: &[Slot]| -> Vec<usize> {
        let away = slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| is_sent_away(slot));
        away.map(|(n, _)| n).collect()
    };
    assert_eq!(sent_away(&flood), [2]);
    assert_eq!(slots.taken(), PLAN.connections);
    // It is marked too late, and freed without harm to the count.
    assert!(!flood[2].mark(Event::Mail));
    drop(flood.remove(2));
    assert_eq!(slots.taken(), PLAN.connections);
    assert!(sent_away(&ours).is_empty());
}

#[tokio::test]
async fn sessions_within_the_reserve_of_another_listener_stay() {
    let slots = Slots::default();
    let few = fill(&slots, &PLAN, arrival(0, "127.0.0.1"));
    assert_eq!(few.len(), 16);
    drop(few.into_iter().skip(4).collect::<Vec<_>>());
    let slots = Slots::default();
    let few: Vec<Slot> = (0..4)
        .map(|_| enter(&slots, &PLAN, arrival(0, "127.0.0.1"), Room::Free).unwrap())
        .collect();
    let senders = fill(&slots, &PLAN, arrival(1, "127.0.0.2"));
    senders.iter().for_each(|slot| {
        slot.mark(Event::Mail);
    });

    let refused = enter(&slots, &PLAN, arrival(1, "127.0.0.3"), Room::Made).err();

    assert_eq!(refused, Some(Refusal::Full));
    assert!(few.iter().all(|slot| !is_sent_away(slot)));
}

#[tokio::test(start_paused = true)]
async fn sessions_that_send_stay_and_those_that_only_begin_must_go() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 3,
        reserved: 0,
        ..PLAN
    };
    let all = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    let [sends, receives, pretends] = all.as_slice() else {
        panic!("{} slots", all.len());
    };
    all.iter().for_each(|slot| {
        slot.mark(Event::Mail);
    });
    receives.mark(Event::Data);
    receives.mark(Event::Whole);
    let newcomer = || enter(&slots, &plan, arrival(0, "192.0.2.2"), Room::Made);
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(15)).await;
        sends.mark(Event::Data);
        sends.mark(Event::Accepted);
        sends.mark(Event::Mail);
        pretends.mark(Event::Mail);
    }

    let first = newcomer().unwrap();
    assert!(is_sent_away(pretends));
    let second = newcomer().unwrap();
    assert!(is_sent_away(&first));
    second.mark(Event::Mail);
    assert_eq!(newcomer().err(), Some(Refusal::Full));
    assert!(!is_sent_away(sends) && !is_sent_away(receives));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_kept_for_later_makes_room_at_last() {
    let plan = Plan {
        connections: 3,
        reserved: 0,
        ..PLAN
    };
    let slots = Slots::default();
    let all = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    all.iter().for_each(|slot| {
        slot.mark(Event::Mail);
        slot.mark(Event::Data);
        slot.mark(Event::Accepted);
    });
    let newcomer = || enter(&slots, &plan, arrival(0, "192.0.2.2"), Room::Made);
    assert_eq!(newcomer().err(), Some(Refusal::Full));
    tokio::time::advance(Duration::from_secs(61)).await;
    all[0].mark(Event::Mail);
    let _newcomer = newcomer().unwrap();
    assert!(is_sent_away(&all[1]) && !is_sent_away(&all[0]));
}

#[tokio::test]
async fn sessions_that_were_told_to_go_are_bounded() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 1,
        reserved: 0,
        ..PLAN
    };
    let mut stubborn = Vec::new();
    let refused = loop {
        match enter(&slots, &plan, arrival(0, "192.0.2.1"), Room::Made) {
            Ok(slot) => stubborn.push(slot),
            Err(refused) => break refused,
        }
        assert!(stubborn.len() < 1000);
    };
    assert_eq!(refused, Refusal::Leaving);
    assert!(slots.is_churning(arrival(0, "192.0.2.1"), refused));
    assert_eq!(slots.taken(), 1);
    // Those of another listener are not delayed by that.
    let other = enter(&slots, &plan, arrival(1, "192.0.2.1"), Room::Made);
    assert!(other.is_ok());

    drop(stubborn.remove(0));
    assert!(enter(&slots, &plan, arrival(0, "192.0.2.1"), Room::Made).is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_arrival_waits_if_a_session_has_just_ended() {
    let slots = Slots::default();
    let plan = Plan {
        per_client: 2,
        ..PLAN
    };
    let one = arrival(0, "192.0.2.1");
    let mut both = fill(&slots, &plan, one);
    assert_eq!(both.len(), 2);
    assert!(!slots.is_churning(one, Refusal::Client));

    both[0].release();
    both[0].release();

    assert!(slots.is_churning(one, Refusal::Client));
    assert!(slots.is_churning(one, Refusal::Full));
    assert!(!slots.is_churning(arrival(0, "192.0.2.2"), Refusal::Client));
    assert_eq!(slots.taken(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!slots.is_churning(one, Refusal::Client));
}

#[test]
fn a_panic_gives_the_slot_back() {
    let slots = Slots::default();
    let slot = enter(&slots, &PLAN, arrival(0, "192.0.2.1"), Room::Free).unwrap();

    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = slot;
        panic!("in a session");
    }));
    assert!(ended.is_err());

    assert_eq!(slots.taken(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_hardly_comes_makes_room_at_last_and_others_do_not() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 3,
        reserved: 0,
        ..PLAN
    };
    let all = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    let [drips, comes, whole] = all.as_slice() else {
        panic!("{} slots", all.len());
    };
    all.iter().for_each(|slot| {
        slot.received(1_000_000);
        slot.mark(Event::Mail);
        slot.mark(Event::Data);
    });
    whole.mark(Event::Whole);
    let newcomer = || enter(&slots, &plan, arrival(0, "192.0.2.2"), Room::Made);
    assert_eq!(newcomer().err(), Some(Refusal::Full));
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(5)).await;
        drips.received(1);
        comes.received(10_000);
    }

    let newest = newcomer().unwrap();

    assert!(is_sent_away(drips));
    newest.mark(Event::Mail);
    assert_eq!(newcomer().err(), Some(Refusal::Full));
    assert!(!is_sent_away(comes) && !is_sent_away(whole));
}

#[tokio::test]
async fn as_many_make_room_as_are_needed() {
    let slots = Slots::default();
    let mut own: Vec<Slot> = (0..4)
        .map(|_| enter(&slots, &PLAN, arrival(0, "127.0.0.1"), Room::Free).unwrap())
        .collect();
    let flood = fill(&slots, &PLAN, arrival(1, "192.0.2.1"));
    assert_eq!(slots.taken(), PLAN.connections);

    // Its place is kept for the listener, and one for this machine.
    drop(own.pop());
    let newcomer = enter(&slots, &PLAN, arrival(1, "192.0.2.2"), Room::Made).unwrap();

    assert!(!is_sent_away(&newcomer));
    assert_eq!(flood.iter().filter(|slot| is_sent_away(slot)).count(), 2);
    let local = enter(&slots, &PLAN, arrival(0, "127.0.0.1"), Room::Free);
    assert!(local.is_ok());
}

#[tokio::test]
async fn a_lower_limit_holds_at_once_and_shuts_nobody_out() {
    let slots = Slots::default();
    let alone = |connections| Plan {
        connections,
        reserved: 0,
        listeners: 1,
        ..PLAN
    };
    let all = fill(&slots, &alone(10), arrival(0, "192.0.2.1"));
    all[0].mark(Event::Mail);
    let lower = enter(&slots, &alone(8), arrival(0, "192.0.2.2"), Room::Made);
    assert!(lower.is_ok());
    assert_eq!(slots.taken(), 8);

    slots.shrink(&alone(3));
    assert_eq!(slots.taken(), 3);
    assert!(!is_sent_away(&all[0]));
    all.iter().for_each(|slot| {
        slot.mark(Event::Mail);
    });
    // No session that sends must go, however low the limit is.
    slots.shrink(&alone(1));
    assert!(!is_sent_away(&all[0]) && slots.taken() <= 3);
}

#[tokio::test]
async fn a_client_with_many_connections_makes_room_before_one_with_few() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 10,
        reserved: 0,
        ..PLAN
    };
    let device = enter(&slots, &plan, arrival(0, "192.0.2.9"), Room::Free).unwrap();
    let _flood = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    let _newcomers: Vec<Slot> = (0..50)
        .map(|n| {
            let client = format!("192.0.2.{}", 1 + n % 4);
            enter(&slots, &plan, arrival(0, &client), Room::Made).unwrap()
        })
        .collect();
    assert!(!is_sent_away(&device));
}

#[tokio::test]
async fn a_verification_under_way_outlasts_idle_newcomers_once_for_each_client() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 10,
        reserved: 0,
        ..PLAN
    };
    let device = enter(&slots, &plan, arrival(0, "192.0.2.200"), Room::Free).unwrap();
    device.mark(Event::Verifying);
    let guesses: Vec<Slot> = (0..3)
        .map(|_| enter(&slots, &plan, arrival(0, "192.0.2.201"), Room::Free).unwrap())
        .collect();
    guesses.iter().for_each(|slot| {
        slot.mark(Event::Verifying);
    });
    let flood = |first: u8| -> Vec<Slot> {
        (first..first + 20)
            .map(|n| {
                let client = format!("192.0.2.{n}");
                enter(&slots, &plan, arrival(0, &client), Room::Made).unwrap()
            })
            .collect()
    };

    let _first = flood(1);
    assert!(!is_sent_away(&device) && !is_sent_away(&guesses[0]));
    assert!(is_sent_away(&guesses[1]) && is_sent_away(&guesses[2]));

    // A wrong password leaves an idle session.
    device.mark(Event::NotVerified);
    let _second = flood(50);
    assert!(is_sent_away(&device));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_holds_all_gives_way_when_it_makes_no_progress() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 16,
        reserved: 0,
        ..PLAN
    };
    let few = enter(&slots, &plan, arrival(0, "192.0.2.8"), Room::Free).unwrap();
    let many = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    let mail = |slot: &Slot| slot.mark(Event::Mail);
    assert!(mail(&few) && many.iter().all(mail));
    let (sends, rest) = many.split_last().unwrap();
    let newcomer = || enter(&slots, &plan, arrival(0, "192.0.2.9"), Room::Made);
    assert_eq!(newcomer().err(), Some(Refusal::Full));

    tokio::time::advance(Duration::from_secs(15)).await;
    mail(sends);
    let newest = newcomer().unwrap();

    assert!(is_sent_away(&rest[0]));
    assert!(!is_sent_away(&few) && !is_sent_away(sends));
    // It has some time before the client with the most connections may take its place
    // again.
    let again = || enter(&slots, &plan, arrival(0, "192.0.2.1"), Room::Made);
    assert_eq!(again().err(), Some(Refusal::Full));
    tokio::time::advance(Duration::from_secs(5)).await;
    assert!(again().is_ok());
    assert!(is_sent_away(&newest));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_stops_makes_room_however_fast_it_was() {
    let slots = Slots::default();
    let plan = Plan {
        connections: 2,
        reserved: 0,
        ..PLAN
    };
    let both = fill(&slots, &plan, arrival(0, "192.0.2.1"));
    both.iter().for_each(|slot| {
        slot.mark(Event::Mail);
        slot.mark(Event::Data);
        slot.received(30_000_000);
    });
    let newcomer = || enter(&slots, &plan, arrival(0, "192.0.2.2"), Room::Made);
    tokio::time::advance(Duration::from_secs(19)).await;
    both[0].received(2000);
    assert_eq!(newcomer().err(), Some(Refusal::Full));

    tokio::time::advance(Duration::from_secs(1)).await;
    let first = newcomer().unwrap();

    assert!(is_sent_away(&both[1]) && !is_sent_away(&both[0]));
    first.mark(Event::Mail);
    both[0].received(0);
    assert_eq!(newcomer().err(), Some(Refusal::Full));
}
