//! The freeway field from few trajectories (NGSIM, 200 cells of 3 m by 500 steps of 5 s): root mean
//! square error on cells without a trajectory. Settings were fitted on the first half of the time;
//! the second half counts.

use roadcast::state::{FieldSettings, SpeedField};

use crate::data::{file, read_npy};

/// Share of the trajectories kept, its file, and the error to stay below, m/s.
const SETS: [(f32, &str, f64); 3] = [
    (0.20, "ngsim/NGSIM_80missing.npy", 1.20),
    (0.10, "ngsim/NGSIM_90missing.npy", 1.50),
    (0.05, "ngsim/NGSIM_95missing.npy", 2.00),
];

pub(crate) fn run() {
    let Some(full) = file("ngsim/NGSIM_full.npy") else {
        return;
    };
    let (cell_count, step_count, truth) = read_npy(&full);
    println!("NGSIM field, RMSE m/s on unobserved cells: first half, second half (wanted below)");
    for (share, name, wanted) in SETS {
        let Some(path) = file(name) else { return };
        let (_, _, seen) = read_npy(&path);
        let settings = FieldSettings::of_trajectories(3.0, 5.0, share);
        let mut field = SpeedField::new(settings, cell_count).expect("sound settings");
        let (mut squares, mut counts, mut cells) = ([0.0f64; 2], [0.0f64; 2], Vec::new());
        for step in 0..step_count + settings.lag_steps {
            for cell in 0..cell_count {
                if step < step_count && seen[cell * step_count + step].is_finite() {
                    field.observe(cell, seen[cell * step_count + step] as f32, 1.0);
                }
            }
            let Some(settled) = field.close_step(&mut cells) else {
                continue;
            };
            let settled = settled as usize;
            for (cell, estimate) in cells.iter().enumerate() {
                let index = cell * step_count + settled;
                if !seen[index].is_finite() && truth[index].is_finite() {
                    let half = usize::from(settled >= step_count / 2);
                    squares[half] += (f64::from(estimate.speed_mps) - truth[index]).powi(2);
                    counts[half] += 1.0;
                }
            }
        }
        let error = |half: usize| (squares[half] / counts[half]).sqrt();
        let share = 100.0 * share;
        println!(
            "{share:.0} %: {:.3}, {:.3} ({wanted:.2})",
            error(0),
            error(1)
        );
        assert!(error(1) < wanted, "{share} % of the trajectories");
    }
}
