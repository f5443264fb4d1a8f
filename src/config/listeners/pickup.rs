//! `[[pickup]]`: folders with messages as files.

use std::io::ErrorKind;
use std::path::Path;
use std::path::PathBuf;

use crate::config::reader::Section;

/// What to do if the relay cannot use a pickup folder, because the system refuses like this.
pub fn pickup_remedy(folder: &Path, kind: ErrorKind) -> String {
    let shown = folder.display();
    let is = |kinds: &[ErrorKind]| kinds.contains(&kind);
    if is(&[ErrorKind::NotFound, ErrorKind::NotADirectory]) {
        format!(
            "create it: sudo install -d -o graph-relay -m 2770 {shown}, with -g and the group of the \
             programs that write there"
        )
    } else if is(&[ErrorKind::ReadOnlyFilesystem]) {
        format!(
            "run sudo systemctl edit graph-relay, add {}, and run sudo systemctl restart graph-relay; if \
             the line is there, mount the disk for writing",
            unit_lines(folder)
        )
    } else if is(&[ErrorKind::PermissionDenied]) {
        format!(
            "run sudo graph-relay doctor, which says what the relay may not do there. If it finds nothing, \
             AppArmor refuses it: add {} to /etc/apparmor.d/local/graph-relay, then run sudo \
             apparmor_parser --replace /etc/apparmor.d/graph-relay and sudo systemctl restart graph-relay",
            apparmor_lines(folder)
        )
    } else if is(&[ErrorKind::StorageFull, ErrorKind::QuotaExceeded]) {
        "free up space on its disk".to_owned()
    } else {
        "run sudo graph-relay doctor; the messages stay there until it can be used".to_owned()
    }
}

/// The lines with which the unit lets the service write in a folder.
fn unit_lines(folder: &Path) -> String {
    format!("[Service] and ReadWritePaths={}", folder.display())
}

/// The lines with which AppArmor lets the service write in a folder.
pub fn apparmor_lines(folder: &Path) -> String {
    let shown = folder.display();
    format!("the lines \"{shown}/ rwk,\" and \"{shown}/** rwk,\"")
}

/// Reads the folders, each of them once.
pub(in crate::config) fn read(top: &mut Section<'_>, data_dir: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    for mut section in top.tables("pickup") {
        let folder = section.required::<PathBuf>("folder");
        section.finish();
        let Some(folder) = folder else { continue };
        let path = &folder.value;
        if !path.is_absolute() {
            let words = "folder: write the path from the root, like folder = \"/srv/pickup\"";
            top.problem_at(&folder.span, words.to_owned());
        } else if path.starts_with(data_dir) || data_dir.starts_with(path) {
            let words = format!(
                "folder: {} and data_dir must not contain each other",
                path.display()
            );
            top.problem_at(&folder.span, words);
        } else if folders
            .iter()
            .any(|other| other.starts_with(path) || path.starts_with(other))
        {
            let words = format!(
                "folder: {} and another [[pickup]] contain each other",
                path.display()
            );
            top.problem_at(&folder.span, words);
        } else if !path.is_dir() {
            let words = format!(
                "folder: {} is not there, or is no folder; the relay takes messages as soon as it is: {}",
                path.display(),
                pickup_remedy(path, ErrorKind::NotFound)
            );
            top.warning_at(&folder.span, &words);
        }
        folders.push(folder.value);
    }
    folders
}
