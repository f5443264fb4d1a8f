//! Half-taken files, files of every kind and name, and folders that others change at the same
//! time.

use std::fmt::Display;
use std::fs;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::*;
use crate::clock::Clock;
use crate::disk;
use crate::platform::files;
use crate::platform::strings;
use crate::spool::Settings;
use crate::spool::Subjects;

fn pickup(home: &Path) -> (PathBuf, Arc<Place>) {
    let folder = home.join("pickup");
    fs::create_dir(&folder).unwrap();
    let place = Arc::new(Place::open(&folder).unwrap());
    (folder, place)
}

fn spool(home: &Path) -> Spool {
    let settings = || Settings {
        folder: home.join("data"),
        size: 100_000_000,
        free_space: 0,
        subjects: Subjects::Kept,
    };
    unlocked(|| Spool::open(settings(), Clock::System)).0
}

/// Opens what was locked until now. A process that another test starts has all locks for a moment.
fn unlocked<T, E: Display>(open: impl Fn() -> Result<T, E>) -> T {
    let began = std::time::Instant::now();
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "{error}"),
        }
        std::thread::yield_now();
    }
}

fn listed(folder: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
    names.sort();
    names
}

fn candidates(place: &Place) -> Vec<Candidate> {
    place.candidates(&HashSet::new()).unwrap()
}

/// Runs a command that makes what the standard library does not.
fn make(command: &mut Command) {
    assert!(command.status().unwrap().success());
}

fn id_now() -> SpoolId {
    SpoolId::generate(Clock::System.now())
}

#[tokio::test]
async fn half_taken_files_stay_while_the_spool_cannot_say_whether_it_has_them() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let forgotten = Clock::System.now() - DOUBTFUL;
    let nothing = |_: &Path, reason: &str| panic!("{reason}");
    let taken = folder.join(format!(".taking/{}.1.eml", id_now()));
    fs::write(&taken, "").unwrap();
    let closed = spool(home.path());
    closed.close().await;

    assert!(recover(&place, &closed, forgotten, nothing).await.is_err());
    assert!(taken.exists());
    drop(closed);

    let open = spool(home.path());
    recover(&place, &open, forgotten, nothing).await.unwrap();
    assert!(!taken.exists() && folder.join("1.eml").exists());
}

#[tokio::test]
async fn a_file_that_was_half_taken_so_long_ago_that_nobody_knows_is_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let id = id_now();
    fs::write(folder.join(format!(".taking/{id}.1.eml")), "").unwrap();
    let forgotten = id.time() + Duration::from_secs(3600);
    let told = std::sync::Mutex::new(Vec::new());

    let spool = spool(home.path());
    let tell = |bad: &Path, _: &str| told.lock().unwrap().push(bad.to_owned());
    recover(&place, &spool, forgotten, tell).await.unwrap();

    assert_eq!(listed(&folder.join("bad")), ["1.eml", "1.eml.txt"]);
    assert!(candidates(&place).is_empty());
    assert_eq!(*told.lock().unwrap(), [folder.join("bad/1.eml")]);
    let reason = fs::read_to_string(folder.join("bad/1.eml.txt")).unwrap();
    assert!(reason.contains(&id.to_string()), "{reason}");
}

#[tokio::test]
async fn a_half_taken_file_is_not_sent_if_newer_messages_had_to_make_room() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let forgotten = Clock::System.now() - DOUBTFUL;
    let spool = spool(home.path());
    let at = |seconds| SpoolId::first_of(Clock::System.now() - Duration::from_secs(seconds));
    for (id, name) in [(at(120), "older"), (at(10), "newer")] {
        fs::write(folder.join(format!(".taking/{id}.{name}.eml")), "").unwrap();
    }
    // As if a full disk had removed it.
    let database = rusqlite::Connection::open(home.path().join("data/spool.db")).unwrap();
    let note = "INSERT INTO ordered (key, text) VALUES ('forgotten', ?1)";
    database.execute(note, [at(60).to_string()]).unwrap();

    let tell = |_: &Path, _: &str| {};
    recover(&place, &spool, forgotten, tell).await.unwrap();

    assert!(folder.join("bad/older.eml").exists() && folder.join("newer.eml").exists());
    assert!(listed(&folder.join(".taking")).is_empty());
}

#[tokio::test]
async fn a_note_of_the_history_that_cannot_be_right_counts_for_files_until_now_alone() {
    let later = Clock::System.now() + Duration::from_hours(24 * 365);
    let future = SpoolId::first_of(later).to_string();
    for note in [Some("not an ID".to_owned()), None, Some(future)] {
        let home = tempfile::tempdir().unwrap();
        let (folder, place) = pickup(home.path());
        let forgotten = Clock::System.now() - DOUBTFUL;
        let spool = spool(home.path());
        let taken = |id: SpoolId, name: &str| folder.join(format!(".taking/{id}.{name}.eml"));
        let older = SpoolId::generate(Clock::System.now() - Duration::from_secs(60));
        fs::write(taken(older, "older"), "").unwrap();
        let database = rusqlite::Connection::open(home.path().join("data/spool.db")).unwrap();
        let insert = "INSERT INTO ordered (key, text) VALUES ('forgotten', ?1)";
        database.execute(insert, [&note]).unwrap();
        let tell = |_: &Path, _: &str| {};

        recover(&place, &spool, forgotten, tell).await.unwrap();
        assert!(folder.join("bad/older.eml").exists(), "{note:?}");

        fs::write(taken(id_now(), "newer"), "").unwrap();
        recover(&place, &spool, forgotten, tell).await.unwrap();
        assert!(folder.join("newer.eml").exists(), "{note:?}");
    }
}

#[tokio::test]
async fn a_damaged_note_of_the_history_does_not_stop_the_folder() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let forgotten = Clock::System.now() - DOUBTFUL;
    let closed = spool(home.path());
    closed.close().await;
    drop(closed);
    let path = home.path().join("data/spool.db");
    let database = rusqlite::Connection::open(&path).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'ordered'";
    let page: u32 = database.query_row(root, [], |row| row.get(0)).unwrap();
    drop(database);
    let page = usize::try_from(page).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xFF);
    fs::write(&path, bytes).unwrap();
    fs::write(folder.join(format!(".taking/{}.1.eml", id_now())), "").unwrap();

    let spool = spool(home.path());
    let tell = |_: &Path, _: &str| {};
    recover(&place, &spool, forgotten, tell).await.unwrap();

    assert!(folder.join("bad/1.eml").exists());
    assert!(listed(&folder.join(".taking")).is_empty());
}

#[tokio::test]
async fn a_half_taken_file_from_a_time_that_is_yet_to_come_is_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let now = Clock::System.now();
    let id = SpoolId::generate(now + Duration::from_hours(1));
    fs::write(folder.join(format!(".taking/{id}.1.eml")), "").unwrap();

    let spool = spool(home.path());
    let tell = |_: &Path, _: &str| {};
    recover(&place, &spool, now - DOUBTFUL, tell).await.unwrap();

    assert!(folder.join("bad/1.eml").exists() && !folder.join("1.eml").exists());
}

#[test]
fn nothing_outside_is_touched_while_others_swap_the_subfolders_for_links() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let theirs: OsString = format!("{}.x.eml", id_now()).into();
    fs::write(outside.join(&theirs), "precious").unwrap();
    fs::create_dir(folder.join("bad")).unwrap();
    let link = folder.join("link");
    make(Command::new("ln").arg("-s").arg(&outside).arg(&link));
    let is_over = AtomicBool::new(false);

    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for name in ["bad", ".taking"].map(|name| folder.join(name)) {
                    let aside = folder.join("aside");
                    // The relay may make its own at any moment.
                    let _is_aside = disk::move_if_there(&name, &aside);
                    if files::rename_new(&link, &name).is_ok() {
                        files::rename_new(&name, &link).unwrap();
                    }
                    if files::rename_new(&aside, &name).is_err() {
                        let _is_gone = fs::remove_dir_all(&aside);
                    }
                }
            }
        });
        for number in 0..400 {
            fs::write(folder.join(format!("{number}.eml")), "x").unwrap();
            let id = id_now();
            for candidate in candidates(&place) {
                let _may_fail = match number % 2 {
                    0 => place.refuse(&candidate.name, id, "no").map(drop),
                    _ => place.begin(&candidate, id).and_then(|it| place.end(&it)),
                };
            }
            let again = Place::open(&folder).and_then(|it| it.left());
            let of_others = again.unwrap_or_default();
            assert!(
                of_others
                    .iter()
                    .all(|it| !format!("{it:?}").contains("x.eml"))
            );
        }
        is_over.store(true, Ordering::Relaxed);
    });

    assert_eq!(listed(&outside), std::slice::from_ref(&theirs));
    assert_eq!(fs::read(outside.join(theirs)).unwrap(), b"precious");
}

#[test]
fn a_file_that_was_replaced_since_it_was_read_stays() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    fs::write(folder.join("1.eml"), "first").unwrap();
    let candidate = candidates(&place).remove(0);
    fs::write(folder.join("new"), "second").unwrap();
    disk::rename(&folder.join("new"), &folder.join("1.eml")).unwrap();

    assert!(place.begin(&candidate, id_now()).is_err());

    assert_eq!(fs::read(folder.join("1.eml")).unwrap(), b"second");
    assert!(listed(&folder.join(".taking")).is_empty());
}

#[test]
fn a_file_that_was_written_again_since_it_was_read_stays() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    fs::write(folder.join("1.eml"), "first").unwrap();
    let candidate = candidates(&place).remove(0);
    // The same file: only its content and size differ.
    fs::write(folder.join("1.eml"), "another").unwrap();

    assert!(place.begin(&candidate, id_now()).is_err());

    assert_eq!(fs::read(folder.join("1.eml")).unwrap(), b"another");
    assert!(listed(&folder.join(".taking")).is_empty());
}

#[test]
fn only_one_relay_has_a_folder_and_nobody_else_can_enter_what_is_being_taken() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let mode = files::mode(&fs::metadata(folder.join(".taking")).unwrap());
    assert_eq!(mode, 0o700);

    let error = Place::open(&folder).unwrap_err().to_string();
    assert!(error.contains("another relay"), "{error}");
    assert!(place.is_current());

    drop(place);
    let place = unlocked(|| Place::open(&folder));
    disk::rename(&folder, &home.path().join("away")).unwrap();
    assert!(!place.is_current());
    fs::create_dir(&folder).unwrap();
    assert!(!place.is_current());
    Place::open(&folder).unwrap();
}

#[test]
fn files_of_all_names_keep_them_and_only_files_are_opened() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let names = [
        b"a\nb\x1b[31m.eml".to_vec(),
        b"\xff\xfe.EML".to_vec(),
        [&[b'x'; 251][..], b".eml"].concat(),
    ];
    let names = names.map(strings::from_bytes);
    for name in &names {
        fs::write(folder.join(name), "x").unwrap();
    }
    fs::create_dir(folder.join("folder.eml")).unwrap();
    fs::write(folder.join("1.eml.tmp"), "x").unwrap();

    let found = candidates(&place);
    assert_eq!(found.len(), names.len());
    for candidate in &found {
        let id = id_now();
        let claim = place.begin(candidate, id).unwrap();
        place.give_back(&claim).unwrap();
        assert!(folder.join(&candidate.name).exists());
        place.begin(candidate, id).unwrap();
    }
    assert!(candidates(&place).is_empty());
    for claim in place.left().unwrap() {
        place.give_back(&claim).unwrap();
    }
    assert!(names[..2].iter().all(|name| folder.join(name).exists()));
    for candidate in candidates(&place) {
        let bad = place.refuse(&candidate.name, id_now(), "no").unwrap();
        assert!(!pickuplog::shown(&bad).contains(char::is_control));
    }
    assert_eq!(listed(&folder.join("bad")).len(), 6);

    make(Command::new("mkfifo").arg(folder.join("pipe.eml")));
    for candidate in candidates(&place) {
        let wrong = candidate.wrong(1000).unwrap();
        assert!(wrong.contains("takes only files"), "{wrong}");
    }
}

#[test]
fn many_files_that_wait_do_not_hide_new_ones() {
    let home = tempfile::tempdir().unwrap();
    let (folder, place) = pickup(home.path());
    let waiting: HashSet<OsString> = (0..20_500).map(|n| format!("{n}.eml").into()).collect();
    for name in &waiting {
        fs::write(folder.join(name), "").unwrap();
    }
    fs::write(folder.join("new.eml"), "").unwrap();

    let found = place.candidates(&waiting).unwrap();

    assert_eq!(found[0].name, "new.eml");
}
