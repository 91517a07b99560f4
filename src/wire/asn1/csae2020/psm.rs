//! The personal safety message: one vulnerable road user.

use rasn::prelude::*;

use super::bsm::PathHistory;
use super::vir::PathPlanningPoint;
use crate::wire::asn1::csae::{
    AccelerationSet4Way, Position3D, PositionalAccuracy, TimeConfidence,
};

/// What a vulnerable road user says of itself (PSM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PersonalSafetyMessage {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: FixedOctetString<8>,
    /// When in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535
    /// unknown.
    #[rasn(identifier = "secMark", value("0..=65535"))]
    pub sec_mark: u16,
    /// How well the time is known.
    #[rasn(identifier = "timeConfidence")]
    pub time_confidence: Option<TimeConfidence>,
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: Position3D,
    /// Accuracy of the position.
    #[rasn(identifier = "posAccuracy")]
    pub pos_accuracy: PositionalAccuracy,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: u16,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(identifier = "heading", value("0..=28800"))]
    pub heading: u16,
    /// Acceleration.
    #[rasn(identifier = "accelSet")]
    pub accel_set: Option<AccelerationSet4Way>,
    /// Where it was.
    #[rasn(identifier = "pathHistory")]
    pub path_history: Option<PathHistory>,
    /// Planned path: 1 to 100.
    #[rasn(identifier = "path-Planning", size("1..=100"))]
    pub path_planning: Option<SequenceOf<PathPlanningPoint>>,
    /// Radius of the group (0.1 m): `0..=200`.
    #[rasn(identifier = "overallRadius", value("0..=200"))]
    pub overall_radius: u8,
    /// What the road user is and does.
    #[rasn(identifier = "non-motorData")]
    pub non_motor_data: NonMotorData,
}

/// What a vulnerable road user is and does.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct NonMotorData {
    /// Kind.
    #[rasn(identifier = "basicType")]
    pub basic_type: PersonalDeviceUserType,
    /// What moves it.
    #[rasn(identifier = "propulsion")]
    pub propulsion: Option<PropelledInformation>,
    /// How many move together.
    #[rasn(identifier = "clusterSize")]
    pub cluster_size: Option<NumberOfParticipantsInCluster>,
    /// What is taken along.
    #[rasn(identifier = "attachment")]
    pub attachment: Option<Attachment>,
    /// Distraction and impairment.
    #[rasn(identifier = "personalExt")]
    pub personal_ext: Option<PersonalExtensions>,
    /// Where a road worker.
    #[rasn(identifier = "roadWorkerExt")]
    pub road_worker_ext: Option<RoadWorkerExtensions>,
    /// What is asked for.
    #[rasn(identifier = "personalReq")]
    pub personal_req: Option<PersonalRequest>,
}

/// Kind of vulnerable road user.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum PersonalDeviceUserType {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `aPEDESTRIAN`.
    #[rasn(identifier = "aPEDESTRIAN")]
    APEDESTRIAN = 1,
    /// `aPEDALCYCLIST`.
    #[rasn(identifier = "aPEDALCYCLIST")]
    APEDALCYCLIST = 2,
    /// `aROADWORKER`.
    #[rasn(identifier = "aROADWORKER")]
    AROADWORKER = 3,
    /// `anANIMAL`.
    #[rasn(identifier = "anANIMAL")]
    AnANIMAL = 4,
}

/// What moves the road user.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum PropelledInformation {
    /// By a person.
    #[rasn(identifier = "human")]
    Human(HumanPropelledType),
    /// By an animal.
    #[rasn(identifier = "animal")]
    Animal(AnimalPropelledType),
    /// By a motor.
    #[rasn(identifier = "motor")]
    Motor(MotorizedPropelledType),
}

/// How a person moves.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum HumanPropelledType {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `otherTypes`.
    #[rasn(identifier = "otherTypes")]
    OtherTypes = 1,
    /// `onFoot`.
    #[rasn(identifier = "onFoot")]
    OnFoot = 2,
    /// `skateboard`.
    #[rasn(identifier = "skateboard")]
    Skateboard = 3,
    /// `pushOrKickScooter`.
    #[rasn(identifier = "pushOrKickScooter")]
    PushOrKickScooter = 4,
    /// `wheelchair`.
    #[rasn(identifier = "wheelchair")]
    Wheelchair = 5,
}

/// What moves with an animal.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum AnimalPropelledType {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `otherTypes`.
    #[rasn(identifier = "otherTypes")]
    OtherTypes = 1,
    /// `animalMounted`.
    #[rasn(identifier = "animalMounted")]
    AnimalMounted = 2,
    /// `animalDrawnCarriage`.
    #[rasn(identifier = "animalDrawnCarriage")]
    AnimalDrawnCarriage = 3,
}

/// What small motor vehicle a person uses.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum MotorizedPropelledType {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `otherTypes`.
    #[rasn(identifier = "otherTypes")]
    OtherTypes = 1,
    /// `wheelChair`.
    #[rasn(identifier = "wheelChair")]
    WheelChair = 2,
    /// `bicycle`.
    #[rasn(identifier = "bicycle")]
    Bicycle = 3,
    /// `scooter`.
    #[rasn(identifier = "scooter")]
    Scooter = 4,
    /// `selfBalancingDevice`.
    #[rasn(identifier = "selfBalancingDevice")]
    SelfBalancingDevice = 5,
}

/// How many move together.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum NumberOfParticipantsInCluster {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `small`.
    #[rasn(identifier = "small")]
    Small = 1,
    /// `medium`.
    #[rasn(identifier = "medium")]
    Medium = 2,
    /// `large`.
    #[rasn(identifier = "large")]
    Large = 3,
}

/// What a road user takes along.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum Attachment {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `stroller`.
    #[rasn(identifier = "stroller")]
    Stroller = 1,
    /// `bicycleTrailer`.
    #[rasn(identifier = "bicycleTrailer")]
    BicycleTrailer = 2,
    /// `cart`.
    #[rasn(identifier = "cart")]
    Cart = 3,
    /// `wheelchair`.
    #[rasn(identifier = "wheelchair")]
    Wheelchair = 4,
    /// `otherWalkAssistAttachments`.
    #[rasn(identifier = "otherWalkAssistAttachments")]
    OtherWalkAssistAttachments = 5,
    /// `pet`.
    #[rasn(identifier = "pet")]
    Pet = 6,
}

/// Distraction and impairment.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PersonalExtensions {
    /// What is done with a device.
    #[rasn(identifier = "useState")]
    pub use_state: Option<PersonalDeviceUsageState>,
    /// Impairment.
    #[rasn(identifier = "assistType")]
    pub assist_type: Option<PersonalAssistive>,
}

/// What a person does with a device: 9 bits or more: 0 unavailable, 1 other, 2 idle, 3
/// listeningToAudio, 4 typing, 5 calling, 6 playingGames, 7 reading, 8 viewing.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(9, extensible))]
pub struct PersonalDeviceUsageState(pub BitString);

/// Impairment: 6 bits or more: 0 unavailable, 1 otherType, 2 vision, 3 hearing, 4 movement, 5
/// cognition.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(6, extensible))]
pub struct PersonalAssistive(pub BitString);

/// Kind and activity of a road worker.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadWorkerExtensions {
    /// Kind.
    #[rasn(identifier = "workerType")]
    pub worker_type: Option<RoadWorkerType>,
    /// Activity.
    #[rasn(identifier = "activityType")]
    pub activity_type: Option<RoadWorkerActivityType>,
}

/// Kind of road worker.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum RoadWorkerType {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `trafficPolice`.
    #[rasn(identifier = "trafficPolice")]
    TrafficPolice = 1,
    /// `constructionPersonnel`.
    #[rasn(identifier = "constructionPersonnel")]
    ConstructionPersonnel = 2,
    /// `policeOfficers`.
    #[rasn(identifier = "policeOfficers")]
    PoliceOfficers = 3,
    /// `trafficControlPersons`.
    #[rasn(identifier = "trafficControlPersons")]
    TrafficControlPersons = 4,
    /// `railroadCrossingGuards`.
    #[rasn(identifier = "railroadCrossingGuards")]
    RailroadCrossingGuards = 5,
    /// `emergencyOrganizationPersonnel`.
    #[rasn(identifier = "emergencyOrganizationPersonnel")]
    EmergencyOrganizationPersonnel = 6,
}

/// What a road worker does: 6 bits or more: 0 unavailable, 1 workingOnRoad, 2 settingUpClosures, 3
/// respondingToEvents, 4 directingTraffic, 5 otherActivities.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(6, extensible))]
pub struct RoadWorkerActivityType(pub BitString);

/// What the road user asks for.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PersonalRequest {
    /// Crossing.
    #[rasn(identifier = "crossing")]
    pub crossing: Option<PersonalCrossing>,
}

/// Whether the road user wants to cross.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum PersonalCrossing {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `request`.
    #[rasn(identifier = "request")]
    Request = 1,
    /// `crossing`.
    #[rasn(identifier = "crossing")]
    Crossing = 2,
    /// `finish`.
    #[rasn(identifier = "finish")]
    Finish = 3,
}
