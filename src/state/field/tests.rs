use super::*;

/// A jam that moves upstream at 18 km/h through free traffic, in cells of 100 m and 10 s.
fn truth_mps(cell: usize, step: u64) -> f32 {
    let head_m = 3_000.0 - 5.0 * 10.0 * step as f32;
    let at_m = 100.0 * cell as f32;
    if (head_m - 600.0..head_m).contains(&at_m) {
        3.0
    } else {
        30.0
    }
}

fn settings() -> FieldSettings {
    FieldSettings {
        step_s: 10.0,
        congested_widths: (250.0, 10.0),
        free_widths: (250.0, 10.0),
        lag_steps: 6,
        ..FieldSettings::of_minutes()
    }
}

/// Root mean square error over the settled steps when every fifth cell is measured, and when the
/// same speeds are held on the nearest measured cell.
fn errors(settings: FieldSettings) -> (f32, f32) {
    let mut field = SpeedField::new(settings, 40).expect("sound settings");
    let (mut mine, mut held, mut count) = (0.0, 0.0, 0.0);
    let mut cells = Vec::new();
    for step in 0..60 {
        for cell in (2..40).step_by(5) {
            assert!(field.observe(cell, truth_mps(cell, step), 1.0));
        }
        let Some(settled) = field.close_step(&mut cells) else {
            continue;
        };
        assert_eq!(settled + 6, step);
        for (index, cell) in cells.iter().enumerate() {
            let truth = truth_mps(index, settled);
            mine += (cell.speed_mps - truth).powi(2);
            held += (truth_mps(index / 5 * 5 + 2, settled) - truth).powi(2);
            count += 1.0;
        }
    }
    ((mine / count).sqrt(), (held / count).sqrt())
}

#[test]
fn a_jam_is_followed_along_its_wave() {
    let (along, held) = errors(settings());
    assert!(along < 0.8 * held, "{along} {held}");
    let (across, _) = errors(FieldSettings {
        congested_wave_mps: -500.0,
        ..settings()
    });
    assert!(along < 0.9 * across, "{along} {across}");
}

#[test]
fn one_measurement_is_the_field_and_nothing_is_not() {
    let mut field = SpeedField::new(FieldSettings::of_minutes(), 10).expect("sound settings");
    let mut cells = Vec::new();
    assert_eq!(field.close_step(&mut cells), Some(0));
    assert!(cells.iter().all(|cell| cell.weight == 0.0));
    assert!(field.observe(4, 7.0, 2.0));
    assert!(!field.observe(10, 7.0, 1.0), "beyond the end");
    assert!(!field.observe(3, f32::NAN, 1.0));
    assert!(!field.observe(3, 7.0, 0.0));
    assert_eq!(field.close_step(&mut cells), Some(1));
    assert!(cells.iter().all(|cell| (cell.speed_mps - 7.0).abs() < 1e-4));
    assert!((cells[4].weight - 2.0).abs() < 1e-4 && cells[0].weight < cells[3].weight);
}

#[test]
fn settings_out_of_range_are_refused() {
    let good = FieldSettings::of_minutes();
    let wrong = [
        FieldSettings {
            cell_m: 0.0,
            ..good
        },
        FieldSettings {
            step_s: f32::NAN,
            ..good
        },
        FieldSettings {
            congested_wave_mps: 5.0,
            ..good
        },
        FieldSettings {
            free_widths: (0.0, 1.0),
            ..good
        },
        FieldSettings {
            lag_steps: FIELD_STEPS_MAX,
            ..good
        },
    ];
    for settings in wrong {
        assert!(SpeedField::new(settings, 10).is_err(), "{settings:?}");
    }
    assert!(SpeedField::new(good, 0).is_err());
    assert!(SpeedField::new(good, FIELD_CELLS_MAX + 1).is_err());
}
