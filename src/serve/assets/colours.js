// Colours of the map in both themes; level colours are the same in both.

/** Levels 1 to 5 after GB/T 33171: green, light green, yellow, orange, red. */
export const LEVEL_COLOURS = ["#19b36b", "#9ccc3c", "#ffd23c", "#ff8b2b", "#ea2f35"];

export const THEMES = {
  dark: {
    land: "#0d131d",
    water: "#152c48",
    waterEdge: "#1d3d61",
    unknown: "#3b4658",
    casing: "#05080d",
    label: "#dbe4f0",
    labelHalo: "#0d131d",
    jam: "#ff4a4a",
    alternative: "#45b8ff",
    main: "#aab4c4",
    selected: "#ffffff",
  },
  light: {
    land: "#eef1f5",
    water: "#b9d5ee",
    waterEdge: "#9cc0e0",
    unknown: "#b6bfcc",
    casing: "#ffffff",
    label: "#243142",
    labelHalo: "#ffffff",
    jam: "#e01f1f",
    alternative: "#0a6fd6",
    main: "#4c5a6d",
    selected: "#0b1626",
  },
};
