//! Bars as inline SVG, without scripts and without styles in the page.

use std::fmt::Write;

/// Width of the drawing, in its own units; it stretches to its place.
const WIDTH: usize = 240;
/// Height of the drawing.
const HEIGHT: u64 = 44;
/// A bar of this height can be seen.
const SMALLEST: u64 = 2;

/// The chart of these numbers, from left to right. `label` says it in words.
pub(super) fn bars(numbers: &[u64], class: &str, label: &str) -> String {
    let most = numbers.iter().copied().max().unwrap_or(0).max(1);
    let step = WIDTH / numbers.len().max(1);
    let mut svg = format!(
        "<svg class=\"chart {class}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
         role=\"img\" aria-label=\"{}\">",
        escaped(label)
    );
    let bottom = HEIGHT;
    // Writing to a String cannot fail.
    let mut written = write!(
        svg,
        "<line x1=\"0\" y1=\"{bottom}\" x2=\"{WIDTH}\" y2=\"{bottom}\"/>"
    );
    for (place, number) in numbers
        .iter()
        .enumerate()
        .filter(|(_, number)| **number > 0)
    {
        let height = (number.saturating_mul(HEIGHT) / most).clamp(SMALLEST, HEIGHT);
        let (x, y, width) = (place * step, HEIGHT - height, step.saturating_sub(1).max(1));
        let rectangle = write!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
        );
        written = written.and(rectangle);
    }
    debug_assert!(written.is_ok());
    svg.push_str("</svg>");
    svg
}

/// A text inside an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_has_a_bar_for_each_number_and_a_small_one_can_be_seen() {
        let chart = bars(&[0, 1, 1000], "", "a \"label\" <b>");

        assert_eq!(chart.matches("<rect").count(), 2);
        assert!(
            chart.contains("x=\"80\" y=\"42\" width=\"79\" height=\"2\""),
            "{chart}"
        );
        assert!(
            chart.contains("x=\"160\" y=\"0\" width=\"79\" height=\"44\""),
            "{chart}"
        );
        assert!(
            chart.contains("aria-label=\"a &quot;label&quot; &lt;b>\""),
            "{chart}"
        );
        assert!(!chart.contains("style"), "{chart}");
    }

    #[test]
    fn nothing_is_a_chart_without_bars() {
        assert!(!bars(&[0, 0], "", "").contains("<rect"));
        assert!(!bars(&[], "", "").contains("<rect"));
    }
}
