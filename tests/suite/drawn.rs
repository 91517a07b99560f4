//! Small road networks drawn in ASCII, and drives over them.

#![expect(
    clippy::unwrap_used,
    reason = "a drawing that does not build fails its test"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::observation::{Observation, Origin};
use roadcast::units::{JunctionId, LocalFrame, Point, Position, SegmentId, SubjectId, Timestamp};

/// Metres a character of the drawing stands for, both ways.
pub(crate) const CELL_M: f32 = 25.0;

/// A network drawn in ASCII: letters are junctions, everything else only helps the eye.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) network: Arc<Network>,
    segments: BTreeMap<String, SegmentId>,
    places: BTreeMap<char, Point>,
}

/// Draws a network. Lower-case junctions have signals. Ways are written `A-B-C` (both directions)
/// or `A>B>C` (one way), with the class after a blank where it is not secondary (`A-B service`,
/// `A>B trunk_link`, `A>B trunk+1` on the first level up) and the name after the class; `banned` lists forbidden turns as `ABC` (from AB
/// into BC) and manoeuvres over more segments as `ABCD`.
pub(crate) fn draw(map: &str, ways: &[&str], banned: &[&str]) -> Drawn {
    draw_at(Position::new(114.3055, 30.5931), map, ways, banned)
}

/// Draws a network whose first character lies at `origin`; see [`draw`].
pub(crate) fn draw_at(origin: Position, map: &str, ways: &[&str], banned: &[&str]) -> Drawn {
    let frame = LocalFrame::new(origin);
    let mut places = BTreeMap::new();
    for (row, line) in map.lines().enumerate() {
        for (column, mark) in line.chars().enumerate() {
            if mark.is_ascii_alphabetic() {
                let (x, y) = (column as f32 * CELL_M, row as f32 * -CELL_M);
                assert!(places.insert(mark, Point::new(x, y)).is_none(), "{mark}");
            }
        }
    }
    let mut builder = NetworkBuilder::new(origin);
    let junctions: BTreeMap<char, JunctionId> = places
        .iter()
        .map(|(&mark, &point)| {
            (
                mark,
                builder.add_junction(frame.to_position(point), mark.is_ascii_lowercase()),
            )
        })
        .collect();
    let mut segments = BTreeMap::new();
    for way in ways {
        let mut words = way.splitn(3, ' ');
        let (nodes, class) = (words.next().unwrap(), words.next().unwrap_or("secondary"));
        let name = words.next().map(str::to_owned);
        let (class, layer) = class
            .split_once('+')
            .map_or((class, 0), |(class, layer)| (class, layer.parse().unwrap()));
        let (class, is_link) = class
            .strip_suffix("_link")
            .map_or((class, false), |class| (class, true));
        let class = *RoadClass::ALL
            .iter()
            .find(|known| known.label() == class)
            .unwrap();
        let marks: Vec<char> = nodes.chars().collect();
        for link in marks.windows(3).step_by(2) {
            let mut add = |from: char, to: char, source_dir: i8| {
                let shape = [from, to].map(|mark| frame.to_position(places[&mark]));
                let draft = SegmentDraft {
                    from: junctions[&from],
                    to: junctions[&to],
                    shape: shape.to_vec(),
                    length_m: None,
                    class,
                    limit_mps: None,
                    lanes: None,
                    flags: SegmentFlags::default().with(SegmentFlags::LINK, is_link),
                    layer,
                    source_id: (*way).to_owned(),
                    source_dir,
                    source_pair: 0,
                    name: name.clone(),
                    name_en: None,
                };
                let id = builder.add_segment(draft).unwrap();
                segments.insert(format!("{from}{to}"), id);
            };
            add(link[0], link[2], 1);
            if link[1] == '-' {
                add(link[2], link[0], -1);
            }
        }
    }
    let (turns, manoeuvres): (Vec<&str>, Vec<&str>) =
        banned.iter().partition(|banned| banned.len() == 3);
    for marks in manoeuvres {
        let steps = (1..marks.len()).map(|end| segments[&marks[end - 1..=end]]);
        builder.forbid_manoeuvre(steps.collect());
    }
    let bans: Vec<(SegmentId, SegmentId)> = turns
        .iter()
        .map(|turn| (segments[&turn[..2]], segments[&turn[1..]]))
        .collect();
    builder.connect_all(&mut |from, to| bans.contains(&(from, to)));
    Drawn {
        network: Arc::new(builder.build().unwrap()),
        segments,
        places,
    }
}

impl Drawn {
    pub(crate) fn name(&self, id: SegmentId) -> &str {
        let (name, _) = self
            .segments
            .iter()
            .find(|(_, known)| **known == id)
            .unwrap();
        name
    }

    /// The segment between two letters.
    pub(crate) fn segment(&self, name: &str) -> SegmentId {
        self.segments[name]
    }

    pub(crate) fn point(&self, mark: char) -> Point {
        self.places[&mark]
    }
}

/// A vehicle that drives from letter to letter and says where it is.
#[derive(Debug)]
pub(crate) struct Drive<'a> {
    drawn: &'a Drawn,
    point: Point,
    at_ms: i64,
    step_ms: i64,
    /// Seconds until the next fix while driving.
    wait_s: f32,
    noise_m: f32,
    bias: Point,
    random: ChaCha8Rng,
    pub(crate) fixes: Vec<Observation>,
    /// The stretch truly driven at each fix, as two letters.
    pub(crate) truth: Vec<String>,
}

impl<'a> Drive<'a> {
    /// Starts at a letter; fixes come every `step_ms`, with errors of `noise_m` per axis of which
    /// half the variance persists.
    pub(crate) fn new(
        drawn: &'a Drawn,
        start: char,
        step_ms: i64,
        noise_m: f32,
        seed: u64,
    ) -> Self {
        Self {
            drawn,
            point: drawn.point(start),
            at_ms: 0,
            step_ms,
            wait_s: step_ms as f32 / 1000.0,
            noise_m,
            bias: Point::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            fixes: Vec::new(),
            truth: Vec::new(),
        }
    }

    /// Drives straight to a letter at a constant speed; `stretch` names the road in the truth.
    pub(crate) fn to(mut self, mark: char, stretch: &str, speed_mps: f32) -> Self {
        let target = self.drawn.point(mark);
        let heading_deg = self.point.heading_deg_to(target);
        loop {
            let left_m = self.point.distance_m(target);
            let step_m = speed_mps * self.wait_s;
            if left_m <= step_m {
                self.point = target;
                self.wait_s -= left_m / speed_mps;
                return self;
            }
            let share = step_m / left_m;
            self.point = Point::new(
                self.point.x + (target.x - self.point.x) * share,
                self.point.y + (target.y - self.point.y) * share,
            );
            self.report(stretch, speed_mps, heading_deg);
        }
    }

    /// Stands for some fixes.
    pub(crate) fn stand(mut self, fixes: usize, stretch: &str, heading_deg: f32) -> Self {
        for _ in 0..fixes {
            self.report(stretch, 0.0, heading_deg);
        }
        self
    }

    /// Says nothing for a while.
    pub(crate) fn silent_ms(mut self, millis: i64) -> Self {
        self.at_ms += millis;
        self
    }

    /// Appears at a point of the plane.
    pub(crate) fn appear_at(mut self, point: Point) -> Self {
        self.point = point;
        self
    }

    pub(crate) fn report(&mut self, stretch: &str, speed_mps: f32, heading_deg: f32) {
        let mut normal = || {
            // Sum of twelve uniform numbers: near enough to normal (Irwin-Hall).
            (0..12).map(|_| self.random.random::<f32>()).sum::<f32>() - 6.0
        };
        let keep = (-self.step_ms as f32 / 30_000.0).exp();
        let scale = self.noise_m * std::f32::consts::FRAC_1_SQRT_2;
        let gain = scale * (1.0 - keep * keep).sqrt();
        self.bias = Point::new(
            self.bias.x * keep + gain * normal(),
            self.bias.y * keep + gain * normal(),
        );
        let seen = Point::new(
            self.point.x + self.bias.x + scale * normal(),
            self.point.y + self.bias.y + scale * normal(),
        );
        let is_moving = speed_mps > 0.0;
        self.fixes.push(Observation {
            observed_at: Timestamp::from_millis(self.at_ms),
            subject: SubjectId(7),
            position: self.drawn.network.frame().to_position(seen),
            speed_mps: Some(speed_mps),
            heading_deg: Some(if is_moving {
                (heading_deg + 3.0 * normal()).rem_euclid(360.0)
            } else {
                heading_deg
            }),
            accuracy_m: Some(self.noise_m.max(2.0)),
            altitude_m: None,
            origin: Origin::Probe,
            observer: roadcast::units::ObserverId::ITSELF,
            view: roadcast::units::ViewId::NONE,
        });
        self.truth.push(stretch.to_owned());
        self.at_ms += self.step_ms;
        self.wait_s = self.step_ms as f32 / 1000.0;
    }
}
