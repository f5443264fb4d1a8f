//! `[[pickup]]`: folders with messages as files.

use std::path::Path;
use std::path::PathBuf;

use crate::config::reader::Section;

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
                "folder: {} is not there, or is no folder: the relay takes messages as soon as it is",
                path.display()
            );
            top.warning_at(&folder.span, &words);
        }
        folders.push(folder.value);
    }
    folders
}
