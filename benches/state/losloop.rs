//! The loop week as it lies in the data folder: 207 loop stations of Los Angeles, 2016 bins of five
//! minutes from Thursday, 1 March 2012.

use std::collections::BTreeMap;
use std::io::Read;

use roadcast::network::{NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::units::{Position, SegmentId, Timestamp};

use crate::data::file;

pub(crate) const MPS_PER_MPH: f64 = 0.447_04;
pub(crate) const BINS_PER_DAY: usize = 288;

pub(crate) struct LoopWeek {
    pub(crate) names: Vec<String>,
    pub(crate) places: Vec<Position>,
    /// By bin and station, mph.
    pub(crate) speeds: Vec<Vec<f64>>,
    /// Pairs of stations with the weight of their distance by road.
    pub(crate) pairs: Vec<(usize, usize, f64)>,
}

impl LoopWeek {
    /// Puts a station into a network as a segment of four lanes and 70 mph of its own, unconnected.
    pub(crate) fn add_station(
        &self,
        builder: &mut NetworkBuilder,
        station: usize,
        length_m: f32,
    ) -> SegmentId {
        let at = self.places[station];
        let end = Position::new(at.lon_deg + 0.005, at.lat_deg);
        let draft = SegmentDraft {
            from: builder.add_junction(at, false),
            to: builder.add_junction(end, false),
            shape: vec![at, end],
            length_m: Some(length_m),
            class: RoadClass::Motorway,
            limit_mps: Some((70.0 * MPS_PER_MPH) as f32),
            lanes: Some(4),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: self.names[station].clone(),
            source_dir: 1,
            source_pair: 0,
            name: None,
            name_en: None,
        };
        builder.add_segment(draft).expect("a segment")
    }
}

/// Midnight in Los Angeles before the first bin.
pub(crate) fn midnight() -> Timestamp {
    Timestamp::from_secs(1_330_588_800)
}

pub(crate) fn read() -> Option<LoopWeek> {
    let folder = "forecast/losloop";
    let series = file(&format!("{folder}/series.csv.gz"))?;
    let graph = file(&format!("{folder}/graph.csv"))?;
    let places = file(&format!("{folder}/locations.csv"))?;
    let mut text = String::new();
    let packed = std::fs::File::open(series).expect("readable");
    flate2::read::GzDecoder::new(packed)
        .read_to_string(&mut text)
        .expect("text");
    let mut rows = text.lines().map(|row| row.split(',').skip(1));
    let names: Vec<String> = rows.next().expect("a head").map(str::to_owned).collect();
    let speeds = rows
        .map(|row| row.map(|value| value.parse().expect("a speed")).collect())
        .collect();

    let text = std::fs::read_to_string(places).expect("readable");
    let fields = text
        .lines()
        .skip(1)
        .map(|row| row.split(',').collect::<Vec<_>>());
    let places: BTreeMap<String, Position> = fields
        .map(|row| {
            let number = |index: usize| row[index].parse().expect("a degree");
            (row[1].to_owned(), Position::new(number(3), number(2)))
        })
        .collect();
    let order: BTreeMap<&str, usize> = names
        .iter()
        .enumerate()
        .map(|(index, name)| (&**name, index))
        .collect();
    let text = std::fs::read_to_string(graph).expect("readable");
    let pairs = text.lines().skip(1).map(|row| {
        let row: Vec<&str> = row.split(',').collect();
        (
            order[row[0]],
            order[row[1]],
            row[2].parse().expect("a weight"),
        )
    });
    Some(LoopWeek {
        places: names.iter().map(|name| places[name]).collect(),
        pairs: pairs.collect(),
        names,
        speeds,
    })
}
