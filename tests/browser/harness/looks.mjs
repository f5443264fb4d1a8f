// The settings in which every page is looked at.

// Without scripts in German, whose words are longer: so both languages are seen in every width.
export const tongues = [
  { scripts: true, language: "en" },
  { scripts: false, language: "de" },
];

// One after the other in the same window, as where somebody turns a phone or its light: so a page is
// loaded once for all of them.
const sizes = [390, 1280, 700].flatMap((width) => [
  { width, scheme: "light" },
  { width, scheme: "dark" },
]);

export const inWords = ({ scripts }) => (scripts ? "with scripts, in English" : "without scripts, in German");

// Judges the page in each size, light and dark, and by keyboard. `see` is called in each.
export async function judgeEverywhere(visitor, see = async () => {}) {
  for (const size of sizes) {
    await visitor.turn(size);
    await see(size);
    // Of what is judged by now, only the colours are others in the dark.
    await visitor.judge(size.scheme === "dark" ? ["color-contrast"] : null);
  }
  await visitor.turn({ width: visitor.scripts ? 390 : 1280, scheme: "light" });
  await visitor.judgeKeyboard();
}
