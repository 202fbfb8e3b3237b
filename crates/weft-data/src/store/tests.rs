use std::any::Any;
use std::io::{Read, Write};
use std::path::Path;

use arrow_array::{ArrayRef, Int64Array};
use proptest::prelude::*;
use weft_graph::Key;

use super::*;
use crate::{Column, DType, Decode, Frame, Index, Object};

fn bytes(fill: u8, nbytes: usize) -> Value {
    Value::Bytes(vec![fill; nbytes].into())
}

fn content(value: &Value) -> (u8, usize) {
    match value {
        Value::Bytes(bytes) => (bytes[0], bytes.len()),
        other => panic!("{other:?}"),
    }
}

fn spill_files(base: &Path) -> usize {
    std::fs::read_dir(base)
        .unwrap()
        .flatten()
        .flat_map(|d| std::fs::read_dir(d.path()).unwrap().flatten())
        .filter(|f| f.file_name() != "lock")
        .count()
}

/// An object that has no bytes.
#[derive(Debug)]
struct Socket(usize);

impl Object for Socket {
    fn nbytes(&self) -> usize {
        self.0
    }

    fn encode(&self, _: &mut (dyn Write + Send)) -> Result<(), CodecError> {
        Err(CodecError::Codec("sockets do not travel".into()))
    }

    fn decoder(&self) -> Decode {
        |_: &mut (dyn Read + Send)| Err(CodecError::Codec("no".into()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn what_is_needed_last_leaves_first() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(250, base.path());
    let soon = store.put(bytes(1, 100), 1, "soon".into());
    let late = store.put(bytes(2, 100), 9, "late".into());
    let middle = store.put(bytes(3, 100), 5, "middle".into());
    store.make_room().unwrap();
    let place = |ticket: &Ticket| matches!(store.0.accounts.lock().entries[&ticket.id].place, Place::Disk(_));
    assert!(place(&late) && !place(&soon) && !place(&middle));

    // A value whose next reader has changed changes its place.
    soon.set_need(NEVER);
    store.set_limit(150);
    store.make_room().unwrap();
    assert!(place(&soon) && !place(&middle));
    for (ticket, fill) in [(&soon, 1), (&late, 2), (&middle, 3)] {
        assert_eq!(content(&ticket.get().unwrap()), (fill, 100));
    }
}

#[test]
fn without_readers_the_oldest_leaves_first() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(100, base.path());
    let tickets: Vec<_> = (0..3).map(|i| store.put(bytes(i, 50), NEVER, "x".into())).collect();
    store.make_room().unwrap();
    let accounts = store.0.accounts.lock();
    assert!(matches!(accounts.entries[&tickets[0].id].place, Place::Disk(_)));
    assert!(matches!(accounts.entries[&tickets[1].id].place, Place::Memory(_)));
}

#[test]
fn nothing_is_written_while_there_is_room_and_nothing_is_left_behind() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(100, base.path());
    let first = store.put(bytes(1, 100), 0, "a".into());
    store.make_room().unwrap();
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    let second = store.put(bytes(2, 100), 0, "b".into());
    store.make_room().unwrap();
    assert_eq!(spill_files(base.path()), 1);
    assert_eq!(store.stats().spilled, 1);
    drop((first, second));
    assert_eq!(spill_files(base.path()), 0);
    assert_eq!(store.stats().used, 0);
    drop(store);
    assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn what_a_task_will_make_has_room_beforehand() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(250, base.path());
    let tickets: Vec<_> = (0..2).map(|i| store.put(bytes(i, 100), NEVER, "x".into())).collect();
    assert!(!store.is_full());
    let room = store.reserve(100);
    assert!(store.is_full() && !store.is_strained());
    store.make_room().unwrap();
    assert_eq!((store.stats().on_disk, store.stats().used), (1, 100));
    // However much is expected, something may stay.
    let more = store.reserve(1 << 40);
    store.make_room().unwrap();
    assert_eq!(store.stats().on_disk, 2);
    drop((room, more));
    let last = store.put(bytes(2, 200), NEVER, "x".into());
    assert!(!store.is_full());
    drop((tickets, last));
}

#[test]
fn a_value_in_use_stays() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(10, base.path());
    let ticket = store.put(bytes(1, 100), NEVER, "a".into());
    let reader = ticket.get().unwrap();
    store.make_room().unwrap();
    assert_eq!(store.stats().on_disk, 0);
    drop(reader);
    store.make_room().unwrap();
    assert_eq!(store.stats().on_disk, 1);
}

#[test]
fn a_taken_value_stays_on_the_books_until_its_ticket_goes() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(1000, base.path());
    let ticket = store.put(bytes(1, 100), 0, "a".into());
    let value = ticket.take().unwrap();
    assert!(!value.is_shared());
    drop(value);
    assert_eq!(store.stats().used, 100);
    assert!(ticket.get().is_err());
    drop(ticket);
    assert_eq!(store.stats().used, 0);
}

#[test]
fn what_has_no_bytes_stays_and_is_said_once() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(10, base.path());
    let put = |what: &str| store.put(Value::Object(Arc::new(Socket(100))), 0, what.into());
    let tickets = [put("('open', 0)"), put("('open', 1)")];
    store.make_room().unwrap();
    assert_eq!(store.stats().on_disk, 0);
    assert_eq!(spill_files(base.path()), 0);
    let notices = store.take_notices();
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("('open'") && notices[0].contains("sockets do not travel"), "{notices:?}");
    store.make_room().unwrap();
    assert!(store.take_notices().is_empty());
    assert!(tickets[0].get().is_ok());
}

#[test]
fn a_place_that_cannot_be_written_is_named_with_the_value_and_a_remedy() {
    let base = tempfile::tempdir().unwrap();
    let not_a_directory = base.path().join("file");
    std::fs::write(&not_a_directory, b"").unwrap();
    let store = Store::new(10, &not_a_directory);
    let ticket = store.put(bytes(1, 100), 0, "('x', 3)".into());
    let message = store.make_room().unwrap_err().to_string();
    for part in ["('x', 3)", "file", "100 bytes are held", "limit is 10", "temporary-directory"] {
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(content(&ticket.get().unwrap()), (1, 100));
}

#[test]
fn a_lost_spill_file_is_named_with_the_value_and_a_remedy() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(10, base.path());
    let ticket = store.put(bytes(1, 100), 0, "('x', 3)".into());
    store.make_room().unwrap();
    store.close();
    let message = ticket.get().unwrap_err().to_string();
    for part in ["('x', 3)", "weft-spill-", "temporary-directory"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn buffers_that_frames_share_count_once() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(usize::MAX, base.path());
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let frame = |label: &str| {
        let column = Column { label: Key::from(label), dtype: DType::Int64, values: values.clone() };
        Value::Frame(Arc::new(Frame::new(vec![column], Index::Range { start: 0, step: 1 }, 1000)))
    };
    let one = frame("a").nbytes();
    assert!((8000..9000).contains(&one));
    let tickets: Vec<_> = ["a", "b", "c"].map(|l| store.put(frame(l), 0, l.into())).into();
    assert_eq!(store.stats().used, one);
    drop(tickets);
    assert_eq!(store.stats().used, 0);
}

#[derive(Clone, Debug)]
enum Action {
    Put { nbytes: usize, need: u64 },
    Get(usize),
    Take(usize),
    Hold(usize),
    Release,
    SetNeed(usize, u64),
    Drop(usize),
    MakeRoom,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (1usize..400, 0u64..10).prop_map(|(nbytes, need)| Action::Put { nbytes, need }),
        3 => (0usize..20).prop_map(Action::Get),
        1 => (0usize..20).prop_map(Action::Take),
        1 => (0usize..20).prop_map(Action::Hold),
        1 => Just(Action::Release),
        1 => (0usize..20, 0u64..10).prop_map(|(i, need)| Action::SetNeed(i, need)),
        2 => (0usize..20).prop_map(Action::Drop),
        4 => Just(Action::MakeRoom),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A store is a list of values, whatever leaves and comes back.
    #[test]
    fn a_store_behaves_as_a_list(actions in prop::collection::vec(action(), 1..80), limit in 0usize..1500) {
        let base = tempfile::tempdir().unwrap();
        let store = Store::new(limit, base.path());
        let mut model: Vec<(Ticket, Option<(u8, usize)>)> = Vec::new();
        let mut held = Vec::new();
        for (step, action) in actions.into_iter().enumerate() {
            match action {
                Action::Put { nbytes, need } => {
                    let fill = step as u8;
                    model.push((store.put(bytes(fill, nbytes), need, "x".into()), Some((fill, nbytes))));
                }
                Action::Get(i) if i < model.len() => {
                    let (ticket, expected) = &model[i];
                    prop_assert_eq!(ticket.get().ok().as_ref().map(content), *expected);
                }
                Action::Take(i) if i < model.len() => {
                    let (ticket, expected) = &mut model[i];
                    prop_assert_eq!(ticket.take().ok().as_ref().map(content), expected.take());
                }
                Action::Hold(i) if i < model.len() => held.extend(model[i].0.get().ok()),
                Action::Release => held.clear(),
                Action::SetNeed(i, need) if i < model.len() => model[i].0.set_need(need),
                Action::Drop(i) if i < model.len() => drop(model.swap_remove(i)),
                Action::MakeRoom => {
                    store.make_room().unwrap();
                    let taken = store.0.accounts.lock().entries.values()
                        .filter(|e| matches!(e.place, Place::Lent)).map(|e| e.cost.nbytes()).sum::<usize>();
                    if held.is_empty() {
                        prop_assert!(store.stats().used <= limit.max(taken));
                    }
                }
                _ => {}
            }
            let accounts = store.0.accounts.lock();
            let in_memory: usize = accounts.entries.values()
                .filter(|e| !matches!(e.place, Place::Disk(_))).map(|e| e.cost.nbytes()).sum();
            prop_assert_eq!(accounts.used, in_memory);
            prop_assert_eq!(accounts.leaving, 0);
            drop(accounts);
            prop_assert_eq!(spill_files(base.path()), store.stats().on_disk);
        }
        for (ticket, expected) in &model {
            prop_assert_eq!(ticket.get().ok().as_ref().map(content), *expected);
        }
        drop(model);
        prop_assert_eq!(store.stats().used, 0);
        prop_assert_eq!(spill_files(base.path()), 0);
    }
}

#[test]
fn many_threads_share_a_store() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(6_000, base.path());
    let shared: Vec<_> = (0..8).map(|i| store.put(bytes(i, 1000), u64::from(i), "shared".into())).collect();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (store, shared) = (&store, &shared);
            scope.spawn(move || {
                for round in 0..100usize {
                    let fill = thread.wrapping_mul(31).wrapping_add(round as u8);
                    let own: Vec<_> = (0..4)
                        .map(|i| store.put(bytes(fill, 1000 + i), round as u64, "own".into()))
                        .collect();
                    store.make_room().unwrap();
                    let pick = (round + thread as usize) % shared.len();
                    assert_eq!(content(&shared[pick].get().unwrap()), (pick as u8, 1000));
                    for (i, ticket) in own.iter().enumerate() {
                        let value = if round % 2 == 0 { ticket.get() } else { ticket.take() };
                        assert_eq!(content(&value.unwrap()), (fill, 1000 + i));
                    }
                }
            });
        }
    });
    assert!(store.stats().spilled > 0);
    drop(shared);
    let accounts = store.0.accounts.lock();
    assert_eq!((accounts.used, accounts.leaving, accounts.leavers.len()), (0, 0, 0));
    drop(accounts);
    assert_eq!(spill_files(base.path()), 0);
}

#[test]
fn what_can_be_made_again_is_let_go_and_not_written() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(250, base.path());
    let made = Arc::new(AtomicUsize::new(0));
    let again = |fill: u8| -> Option<Again> {
        let made = made.clone();
        Some(Arc::new(move || {
            made.fetch_add(1, Ordering::Relaxed);
            Ok(bytes(fill, 100))
        }))
    };
    let tickets: Vec<Ticket> =
        (0..4).map(|i| store.put_cheap(bytes(i, 100), u64::from(i), "drawn".into(), again(i))).collect();
    store.make_room().unwrap();
    assert_eq!((store.stats().used, spill_files(base.path())), (200, 0));
    assert!(tickets[0].is_in_memory() && !tickets[3].is_in_memory());
    assert_eq!(content(&tickets[3].get().unwrap()), (3, 100));
    assert_eq!(content(&tickets[2].take().unwrap()), (2, 100));
    assert_eq!(made.load(Ordering::Relaxed), 2);
    drop(tickets);
    assert_eq!(store.stats().used, 0);
}

#[test]
fn what_the_process_holds_beside_values_is_taken_off_the_limit() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::new(400 << 20, base.path());
    store.begin();
    let _ticket = store.put(bytes(1, 1 << 20), 1, "small".into());
    let beside = vec![1u8; 300 << 20];
    std::hint::black_box(&beside);
    // Some time has to pass between two looks.
    let until = Instant::now() + EVERY * 2;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    store.measure();
    if cfg!(target_os = "linux") {
        assert!(store.room() < 200 << 20, "{}", store.room());
        assert!(!store.is_tight());
    }
    store.set_limit(usize::MAX);
    drop(beside);
}
