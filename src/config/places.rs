//! The paths that the service uses, and the default of `data_dir`.

use crate::platform::users;
use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

/// The folder of the service's configuration, and the folder that systemd calls
/// `$STATE_DIRECTORY` then.
const OF_THE_SERVICE: (&str, &str) = ("/etc/graph-relay/relay.toml", "/var/lib/graph-relay");

/// Whether this is the file that the service reads.
pub fn is_of_the_service(path: &Path) -> bool {
    path == Path::new(OF_THE_SERVICE.0)
}

/// Whether this is the folder that systemd creates for the service.
pub fn is_state_folder(path: &Path) -> bool {
    path == Path::new(OF_THE_SERVICE.1)
}

/// Returns the default of `data_dir` for this file.
pub(super) fn data_dir(path: &Path) -> PathBuf {
    let is_root = users::is_root();
    default_data_dir(path, is_root, |name| std::env::var_os(name))
}

/// Returns systemd's `$STATE_DIRECTORY`; or else the service's folder, for root and for
/// commands about the service's file; or else a folder of the user's own.
fn default_data_dir(
    path: &Path,
    is_root: bool,
    variable: impl Fn(&str) -> Option<OsString>,
) -> PathBuf {
    if let Some(given) = variable("STATE_DIRECTORY") {
        return given.into();
    }
    if is_root || is_of_the_service(path) {
        return OF_THE_SERVICE.1.into();
    }
    let state = variable("XDG_STATE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(variable("HOME").unwrap_or_default());
    state
        .unwrap_or_else(|| home().join(".local/state"))
        .join("graph-relay")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_for_the_services_file_use_the_services_folder() {
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/home/anna"));
        let folder = |path: &str, is_root| default_data_dir(Path::new(path), is_root, home);
        let services = Path::new("/var/lib/graph-relay");

        assert_eq!(folder("/etc/graph-relay/relay.toml", false), services);
        assert_eq!(folder("/etc/graph-relay/relay.toml", true), services);
        assert_eq!(folder("relay.toml", true), services);
        assert_eq!(
            folder("relay.toml", false),
            Path::new("/home/anna/.local/state/graph-relay")
        );
        let given = default_data_dir(Path::new("/etc/graph-relay/relay.toml"), false, |name| {
            (name == "STATE_DIRECTORY").then(|| OsString::from("/srv/relay"))
        });
        assert_eq!(given, Path::new("/srv/relay"));
    }
}
