//! The difference between two texts, line by line.

/// Marks with `-` what only `expected` has and with `+` what only `seen` has;
/// `None` if they are alike.
pub(crate) fn difference(expected: &str, seen: &str) -> Option<String> {
    if expected == seen {
        return None;
    }
    let [old, new] = [expected, seen].map(|text| text.lines().collect::<Vec<_>>());
    // How many lines both have in common from there on.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        let (mark, line) = if i < old.len() && j < new.len() && old[i] == new[j] {
            (i, j) = (i + 1, j + 1);
            (' ', new[j - 1])
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            i += 1;
            ('-', old[i - 1])
        } else {
            j += 1;
            ('+', new[j - 1])
        };
        lines.push_str(&format!("  {mark}{line}\n"));
    }
    Some(lines)
}

#[test]
fn a_difference_shows_both_sides_and_what_they_share() {
    assert_eq!(difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(
        difference("a\nb\nd\n", "a\nc\nd\n").as_deref(),
        Some("   a\n  -b\n  +c\n   d\n")
    );
    assert_eq!(difference("", "a\n").as_deref(), Some("  +a\n"));
}
