//! Line charts as SVG, self-contained.

use std::fmt::Write;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 40.0;

/// Colours that remain apart for the colour-blind (Paul Tol's bright scheme and two more).
pub(super) const COLOURS: [&str; 8] = [
    "#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#777777", "#000000",
];

/// One line: points whose y may be missing.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) colour: &'static str,
    pub(super) points: Vec<(f64, Option<f64>)>,
}

/// A filled band between two heights.
pub(super) struct Band {
    pub(super) label: String,
    pub(super) colour: &'static str,
    pub(super) points: Vec<(f64, f64, f64)>,
}

/// A chart with its texts.
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    pub(super) x_label: &'a str,
    pub(super) y_label: &'a str,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
    pub(super) x_ticks: Vec<(f64, String)>,
    pub(super) bands: Vec<Band>,
    pub(super) lines: Vec<Line>,
}

/// Text as it may stand in HTML and SVG.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// About five round values in a range.
pub(super) fn round_ticks(low: f64, high: f64) -> Vec<f64> {
    let span = (high - low).max(1e-9);
    let raw = span / 5.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw)
        .unwrap_or(10.0 * power);
    let mut ticks = Vec::new();
    let mut at = (low / step).ceil() * step;
    while at <= high + 1e-9 * span {
        ticks.push(at);
        at += step;
    }
    ticks
}

/// Charts one below the other as a picture of its own.
pub(super) fn stacked(charts: &[Chart<'_>]) -> String {
    let height = HEIGHT * charts.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, chart) in charts.iter().enumerate() {
        let y = HEIGHT * index as f64;
        let place = format!("y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" ");
        // Writing to a string cannot fail.
        chart.draw(&mut svg, &place).ok();
    }
    svg.push_str("</svg>\n");
    svg
}

impl Chart<'_> {
    /// Draws it as a figure of a page.
    pub(super) fn svg(&self) -> String {
        let title = escape(self.title);
        let mut svg = format!("<figure><figcaption>{title}</figcaption>");
        // Writing to a string cannot fail.
        self.draw(&mut svg, "").ok();
        svg.push_str("</figure>\n");
        svg
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (low, high): (f64, f64)| (value - low) / (high - low).max(1e-12);
        (
            LEFT + (WIDTH - LEFT - RIGHT) * share(x, self.x),
            TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - share(y, self.y)),
        )
    }

    fn draw(&self, svg: &mut String, place: &str) -> std::fmt::Result {
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {place}viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" font-family=\"sans-serif\" font-size=\"11\">"
        )?;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in round_ticks(self.y.0, self.y.1) {
            let (_, y) = self.place(self.x.0, tick);
            writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"#dddddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                short(tick)
            )?;
        }
        for (tick, text) in &self.x_ticks {
            let (x, _) = self.place(*tick, self.y.0);
            writeln!(
                svg,
                "<path d=\"M{x:.1} {bottom}v4\" stroke=\"#888888\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 16.0,
                escape(text)
            )?;
        }
        writeln!(
            svg,
            "<path d=\"M{LEFT} {TOP}V{bottom}H{right}\" fill=\"none\" stroke=\"#888888\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{LEFT}\" y=\"12\">{}</text>",
            0.5 * (LEFT + right),
            HEIGHT - 6.0,
            escape(self.x_label),
            escape(self.y_label)
        )?;
        let mut legend_x = LEFT + 120.0;
        let mut legend = |svg: &mut String, label: &str, colour: &str| {
            let text = escape(label);
            let result = writeln!(
                svg,
                "<text x=\"{legend_x:.0}\" y=\"12\" fill=\"{colour}\">{text}</text>"
            );
            legend_x += 7.0 * label.chars().count() as f64 + 14.0;
            result
        };
        for band in &self.bands {
            let mut path = String::new();
            let forth = band.points.iter().map(|&(x, _, high)| (x, high));
            let back = band.points.iter().rev().map(|&(x, low, _)| (x, low));
            for (x, y) in forth.chain(back) {
                let (x, y) = self.place(x, y);
                write!(path, "{x:.1},{y:.1} ")?;
            }
            writeln!(
                svg,
                "<polygon points=\"{path}\" fill=\"{}\" fill-opacity=\"0.2\"/>",
                band.colour
            )?;
            legend(svg, &band.label, band.colour)?;
        }
        for line in &self.lines {
            let mut path = String::new();
            let mut is_down = false;
            for &(x, y) in &line.points {
                let Some(y) = y else {
                    is_down = false;
                    continue;
                };
                let (x, y) = self.place(x, y);
                write!(path, "{}{x:.1} {y:.1}", if is_down { 'L' } else { 'M' })?;
                is_down = true;
            }
            writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>",
                line.colour
            )?;
            legend(svg, &line.label, line.colour)?;
        }
        writeln!(svg, "</svg>")
    }
}

fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(round_ticks(0.0, 10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        let ticks = round_ticks(3.1, 4.6);
        assert!(ticks.iter().all(|tick| (3.1..=4.6).contains(tick)));
        assert!((3..=8).contains(&ticks.len()), "{ticks:?}");
    }

    #[test]
    fn a_gap_in_a_line_lifts_the_pen_and_text_is_escaped() {
        let chart = || Chart {
            title: "a<b",
            x_label: "x",
            y_label: "y",
            x: (0.0, 3.0),
            y: (0.0, 1.0),
            x_ticks: vec![(1.0, "one".into())],
            bands: Vec::new(),
            lines: vec![Line {
                label: "l".into(),
                colour: COLOURS[0],
                points: vec![
                    (0.0, Some(0.5)),
                    (1.0, None),
                    (2.0, Some(0.5)),
                    (3.0, Some(1.0)),
                ],
            }],
        };
        let svg = chart().svg();
        assert!(svg.contains("a&lt;b"));
        let path = svg.split("<path d=\"").last().unwrap();
        assert_eq!(path.matches('M').count(), 2);
        assert_eq!(path.matches('L').count(), 1);
        let both = stacked(&[chart(), chart()]);
        assert_eq!(
            (both.matches("<svg").count(), both.matches("</svg>").count()),
            (3, 3)
        );
        assert!(both.contains("y=\"300\"") && !both.contains("<figure>"));
    }
}
