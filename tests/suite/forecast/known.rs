//! What is known beforehand, and what is counted, through all of stage 2.

use std::sync::Arc;

use roadcast::engine::{Analysis, AnalysisSettings, Closed};
use roadcast::forecast::{ForecastBatch, Forecaster, ProfileResidual};
use roadcast::network::{Network, load};
use roadcast::observation::DetectorReading;
use roadcast::state::{ClosureDraft, Closures};
use roadcast::units::{Interval, SegmentId, Timestamp};

const MINUTES: i64 = 90;
/// The first road is closed from then on, and for half an hour.
const CLOSED_S: i64 = 100 * 60;

/// Two roads one after the other, and on each a detector.
fn network() -> Arc<Network> {
    let rows = "from,to,highway,lon1,lat1,lon2,lat2,len_m,id,oneway,lanes\n\
                j0,j1,primary,114.300,30.55,114.304,30.55,383,a,yes,1\n\
                j1,j2,primary,114.304,30.55,114.308,30.55,383,b,yes,1\n";
    Arc::new(
        load("roads.csv", rows.as_bytes().to_vec())
            .expect("it is well formed")
            .0,
    )
}

fn analysis(network: &Arc<Network>) -> Analysis {
    let mut settings = AnalysisSettings::default();
    let places = "id,lon,lat,heading,lane\n\
                  on-a,114.302,30.55,90,0\non-b,114.306,30.55,90,0\n";
    let detectors = &mut settings.state.detectors;
    detectors
        .read(network, "places.csv", places.as_bytes())
        .expect("it is well formed");
    let works = ClosureDraft {
        id: "works".into(),
        sources: vec!["a".into()],
        from: Timestamp::from_secs(CLOSED_S),
        until: Timestamp::from_secs(CLOSED_S + 1_800),
    };
    settings.closures = Closures::resolve(network, &[works]).expect("it is well formed");
    Analysis::new(network, settings).expect("it is well formed")
}

/// Closes one minute in which 12 and 20 vehicles passed, and answers the forecast.
fn close(analysis: &mut Analysis, network: &Network, at: i64) -> Arc<ForecastBatch> {
    let start = Timestamp::from_secs(60 * at);
    let end = start.plus_secs(60);
    let reading = |(detector, vehicle_count): (&str, f32)| DetectorReading {
        start,
        end,
        detector: detector.into(),
        vehicle_count,
        speed_mps: Some(12.0),
        occupancy: None,
        sampled_seconds: None,
        queue_length_m: None,
    };
    let readings = [("on-a", 12.0), ("on-b", 20.0)].map(reading);
    let mut closed = Closed::new(network.segment_count());
    let (_, request) = analysis.close_minute(Interval { start, end }, &mut closed, &readings);
    let answer = ProfileResidual.forecast(&request);
    analysis
        .forecast_done(answer, &mut Vec::new())
        .expect("it is well formed")
}

#[test]
fn closures_and_counted_flows_go_with_the_forecast_and_survive_a_restart() {
    let network = network();
    let mut first = analysis(&network);
    let mut second = analysis(&network);
    let mut last = None;
    for at in 0..MINUTES {
        if at == 47 {
            let mut bytes = Vec::new();
            first.snapshot(&mut bytes);
            second.restore(&bytes).unwrap();
        }
        let told = close(&mut first, &network, at);
        if at >= 47 {
            assert_eq!(close(&mut second, &network, at), told, "minute {at}");
        }
        last = Some(told);
    }
    let told = last.unwrap();
    let [a, b] = [0, 1].map(SegmentId);
    // Steps begin every five minutes from minute 90 on; 100 to 130 is closed.
    let is_closed = |step: usize| (2..8).contains(&step);
    for step in 0..12 {
        let flow_vph = |id| told.flows.steps(id).unwrap()[step].p50_vph;
        assert!((flow_vph(b) - 1_200.0).abs() < 60.0, "{}", flow_vph(b));
        let (speed_mps, flow_vph) = (told.steps(a)[step].p50_mps, flow_vph(a));
        assert_eq!(speed_mps < 1e-6, is_closed(step), "{step}: {speed_mps}");
        assert_eq!(flow_vph < 1e-3, is_closed(step), "{step}: {flow_vph}");
        assert!(told.steps(b)[step].p50_mps > 8.0);
    }
    let closed = told.closed(a).unwrap();
    assert_eq!(closed.start, Timestamp::from_secs(CLOSED_S));
    assert_eq!(told.closed(b), None);
    // An hour after minute 90 it is open again.
    let outlook = first.outlook().unwrap();
    assert!(outlook.half_hours(a).iter().all(|half| half.p50_mps > 8.0));
    assert_eq!(outlook.interval(0).start, Timestamp::from_secs(150 * 60));
}
