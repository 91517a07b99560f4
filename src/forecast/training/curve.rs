//! The course of training as a table.

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
