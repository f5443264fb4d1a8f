//! `import`: configurations of other products, each written for these tests from the product's
//! documentation. `NAME/relay.toml` is what becomes of the files in the folder `NAME`.

mod binary;
mod existing;
mod iis;
mod postfix;
mod postfix_ports;
mod postfix_samples;
mod queue;
mod report;
mod smtp2graph;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Output;

use tempfile::TempDir;

use crate::common::binary;
use crate::common::keys::APP;
use crate::common::write_private;

/// The titles of the report's lists.
const TAKEN: &str = "Taken over";
const CHANGED: &str = "Changed";
const NONE: &str = "No counterpart";
const DECIDE: &str = "To be decided or completed";
const TITLES: [&str; 4] = [TAKEN, CHANGED, NONE, DECIDE];

/// A copy of a product's files, in a folder of this test.
struct Sample {
    folder: TempDir,
}

impl Sample {
    fn of(product: &str) -> Self {
        let folder = TempDir::new().unwrap();
        for entry in fs::read_dir(source(product)).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            let text = text.replace("FOLDER", folder.path().to_str().unwrap());
            fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
        }
        let sample = Self { folder };
        write_private(&sample.path("app.crt"), APP.certificate);
        write_private(&sample.path("app.key"), APP.key);
        sample
    }

    /// Runs `import` with these arguments.
    fn import(&self, arguments: &[&str]) -> Output {
        let mut command = binary();
        command.arg("import").args(arguments);
        command.current_dir(self.folder.path());
        command.output().unwrap()
    }

    /// A file with the name of the folder left out.
    fn plain(&self, name: &str) -> String {
        self.read(name)
            .replace(self.folder.path().to_str().unwrap(), "FOLDER")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn change(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{from}: {text}");
        self.write(name, text.replace(from, to));
    }
}

/// The settings in all four lists of a report.
fn all_settings(output: &Output) -> Vec<String> {
    let all = TITLES.iter().flat_map(|title| settings(output, title));
    all.collect()
}

/// The settings of the report's lists, by the title of each.
fn settings(output: &Output, title: &str) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let list = text
        .split(&format!("\n{title}:\n"))
        .nth(1)
        .unwrap_or_default();
    let lines = list.lines().take_while(|line| !line.is_empty());
    let settings = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    settings.map(|line| line.trim().to_owned()).collect()
}

/// Asserts that for each of these starts some row begins with it.
fn assert_rows(rows: &[String], starts: &[&str]) {
    for start in starts {
        let is_it = |row: &String| row.starts_with(start);
        assert!(rows.iter().any(is_it), "{start}: {rows:#?}");
    }
}

/// The names of all parameters that a main.cf sets.
fn parameters(main: &str) -> impl Iterator<Item = &str> {
    let lines = main.lines();
    let lines = lines.filter(|line| !line.starts_with([' ', '\t', '#']));
    let names = lines.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    names.filter(|name| !name.contains([' ', ':']))
}

fn source(product: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/import")
        .join(product)
}
