//! The course of training as a table and as a drawing.

use super::EpochReport;

/// `epoch,loss,validation_mae,is_best`, one line an epoch.
pub fn curve_csv(curve: &[EpochReport]) -> String {
    let mut text = String::from("epoch,loss,validation_mae,is_best\n");
    for report in curve {
        text.push_str(&format!(
            "{},{:.6},{:.4},{}\n",
            report.epoch, report.loss, report.validation_mae, report.is_best
        ));
    }
    text
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 320.0;
const MARGIN: f64 = 48.0;

/// Both curves over epochs, each on a scale of its own.
pub fn curve_svg(curve: &[EpochReport], unit: &str) -> String {
    let losses: Vec<f64> = curve.iter().map(|report| report.loss).collect();
    let errors: Vec<f64> = curve.iter().map(|report| report.validation_mae).collect();
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    let label = |name: &str, values: &[f64]| {
        let best = values.iter().copied().fold(f64::INFINITY, f64::min);
        format!("{name}: best {best:.4}")
    };
    let entries = [
        (
            &losses,
            "#4477aa",
            label("loss (share of free flow)", &losses),
        ),
        (
            &errors,
            "#cc6677",
            label(&format!("validation MAE ({unit})"), &errors),
        ),
    ];
    for (index, (values, colour, label)) in entries.iter().enumerate() {
        let points = points(values);
        let y = 20.0 + 16.0 * index as f64;
        text.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{points}\"/>\n\
             <text x=\"{MARGIN}\" y=\"{y}\" fill=\"{colour}\">{label}</text>\n"
        ));
    }
    let (middle, bottom) = (WIDTH / 2.0, HEIGHT - 12.0);
    text.push_str(&format!(
        "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">epoch 1 to {}</text>\n</svg>\n",
        curve.len()
    ));
    text
}

fn points(values: &[f64]) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let span = (high - low).max(1e-12);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let mut text = String::new();
    for (index, value) in values.iter().enumerate() {
        let x = MARGIN + (WIDTH - 2.0 * MARGIN) * index as f64 / last;
        let y = MARGIN + (HEIGHT - 2.0 * MARGIN) * (high - value) / span;
        text.push_str(&format!("{x:.1},{y:.1} "));
    }
    text
}
