// The settings in which every page is looked at.

// Without scripts in German, whose words are longer: so both languages are seen in every width.
export const looks = [390, 700, 1280].flatMap((width) =>
  ["light", "dark"].flatMap((scheme) => [
    { width, scheme, scripts: true, language: "en" },
    { width, scheme, scripts: false, language: "de" },
  ]),
);

export const inWords = ({ width, scheme, scripts }) =>
  `${width} pixels, ${scheme}, ${scripts ? "with" : "without"} scripts`;
