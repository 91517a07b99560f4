//! Parking area map and guidance.

use rasn::prelude::*;

use crate::wire::asn1::csae::{Position3D, PositionOffsetLlv, RoadPoint};

/// A car park: its nodes, drives, slots and guidance in it (PAM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PamData {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// When: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "timeStamp", value("0..=527040"))]
    pub time_stamp: Option<u32>,
    /// The car park.
    #[rasn(identifier = "parkingLotInfo")]
    pub parking_lot_info: ParkingLotInfo,
    /// Nodes: 1 to 63.
    #[rasn(identifier = "pamNodes", size("1..=63"))]
    pub pam_nodes: SequenceOf<PamNode>,
    /// Guidance: 1 to 16.
    #[rasn(identifier = "parkingAreaGuidance", size("1..=16"))]
    pub parking_area_guidance: Option<SequenceOf<ParkingGuide>>,
}

/// The car park as a whole.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ParkingLotInfo {
    /// Number of the car park: `0..=65535`.
    #[rasn(identifier = "id", value("0..=65535"))]
    pub id: Option<u16>,
    /// Name: 1 to 63 characters.
    #[rasn(identifier = "name", size("1..=63"))]
    pub name: Option<Ia5String>,
    /// Count of slots: `0..=65535`.
    #[rasn(identifier = "number", value("0..=65535"))]
    pub number: Option<u16>,
    /// Count of floors: `0..=256`.
    #[rasn(identifier = "buildingLayerNum", value("0..=256"))]
    pub building_layer_num: Option<u16>,
    /// Level of automated valet parking.
    #[rasn(identifier = "avpType")]
    pub avp_type: Option<AvpType>,
}

/// Level of automated valet parking.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum AvpType {
    /// `p0`.
    #[rasn(identifier = "p0")]
    P0 = 0,
    /// `p1`.
    #[rasn(identifier = "p1")]
    P1 = 1,
    /// `p2`.
    #[rasn(identifier = "p2")]
    P2 = 2,
    /// `p3`.
    #[rasn(identifier = "p3")]
    P3 = 3,
    /// `p4`.
    #[rasn(identifier = "p4")]
    P4 = 4,
    /// `p5`.
    #[rasn(identifier = "p5")]
    P5 = 5,
}

/// A node of a car park.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PamNode {
    /// Number of the node: `0..=65535`.
    #[rasn(identifier = "id", value("0..=65535"))]
    pub id: u16,
    /// Reference position of the offsets.
    #[rasn(identifier = "refPos")]
    pub ref_pos: Position3D,
    /// Floor: `-128..=128`.
    #[rasn(identifier = "floor", value("-128..=128"))]
    pub floor: Option<i16>,
    /// What it is.
    #[rasn(identifier = "attributes")]
    pub attributes: Option<PamNodeAttributes>,
    /// Drives that lead here: 1 to 63.
    #[rasn(identifier = "inDrives", size("1..=63"))]
    pub in_drives: Option<SequenceOf<PamDrive>>,
}

/// What a node of a car park is: 8 bits or more: 0 entrance, 1 exit, 2 toUpstair, 3 toDownstair, 4
/// etc, 5 mtc, 6 passAfterPayment, 7 blocked.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(8, extensible))]
pub struct PamNodeAttributes(pub BitString);

/// A drive between two nodes of a car park.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PamDrive {
    /// Node the drive comes from: `0..=65535`.
    #[rasn(identifier = "upstreamPAMNodeId", value("0..=65535"))]
    pub upstream_pam_node_id: u16,
    /// Number of the drive: `0..=255`.
    #[rasn(identifier = "driveID", value("0..=255"))]
    pub drive_id: Option<u8>,
    /// Whether both directions are separated.
    #[rasn(identifier = "twowaySepration")]
    pub twoway_sepration: Option<bool>,
    /// Speed limit: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speedLimit", value("0..=8191"))]
    pub speed_limit: Option<u16>,
    /// Height limit (0.1 m): `0..=100`.
    #[rasn(identifier = "heightRestriction", value("0..=100"))]
    pub height_restriction: Option<u8>,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "driveWidth", value("0..=32767"))]
    pub drive_width: Option<u16>,
    /// Count of lanes: `0..=100`.
    #[rasn(identifier = "laneNum", value("0..=100"))]
    pub lane_num: Option<u8>,
    /// Centre line: 2 to 31.
    #[rasn(identifier = "points", size("2..=31"))]
    pub points: Option<SequenceOf<RoadPoint>>,
    /// Movements: 1 to 32.
    #[rasn(identifier = "movements", size("1..=32"))]
    pub movements: Option<SequenceOf<u16>>,
    /// Slots: 1 to 256.
    #[rasn(identifier = "parkingSlots", size("1..=256"))]
    pub parking_slots: Option<SequenceOf<ParkingSlot>>,
}

/// One parking slot.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ParkingSlot {
    /// Number of the slot: `0..=65535`.
    #[rasn(identifier = "slotID", value("0..=65535"))]
    pub slot_id: u16,
    /// Where.
    #[rasn(identifier = "position")]
    pub position: Option<ParkingSlotPosition>,
    /// Label: 1 to 63 characters.
    #[rasn(identifier = "sign", size("1..=63"))]
    pub sign: Option<Ia5String>,
    /// Kind of slot.
    #[rasn(identifier = "parkingType")]
    pub parking_type: ParkingType,
    /// Whether it is free.
    #[rasn(identifier = "status")]
    pub status: SlotStatus,
    /// How it lies.
    #[rasn(identifier = "parkingSpaceTheta")]
    pub parking_space_theta: ParkingSpaceTheta,
    /// Lock.
    #[rasn(identifier = "parkingLock")]
    pub parking_lock: ParkingLock,
}

/// Three corners of a slot.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ParkingSlotPosition {
    /// First corner.
    #[rasn(identifier = "topLeft")]
    pub top_left: PositionOffsetLlv,
    /// Second corner.
    #[rasn(identifier = "topRight")]
    pub top_right: PositionOffsetLlv,
    /// Third corner.
    #[rasn(identifier = "bottomLeft")]
    pub bottom_left: PositionOffsetLlv,
}

/// Kind of slot: 10 bits or more: 0 unknown, 1 ordinary, 2 disabled, 3 mini, 4 attached, 5
/// charging, 6 stereo, 7 lady, 8 extended, 9 private.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(10, extensible))]
pub struct ParkingType(pub BitString);

/// Whether a slot is free.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum SlotStatus {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `available`.
    #[rasn(identifier = "available")]
    Available = 1,
    /// `occupied`.
    #[rasn(identifier = "occupied")]
    Occupied = 2,
    /// `reserved`.
    #[rasn(identifier = "reserved")]
    Reserved = 3,
}

/// How a slot lies to the drive.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ParkingSpaceTheta {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `vertical`.
    #[rasn(identifier = "vertical")]
    Vertical = 1,
    /// `side`.
    #[rasn(identifier = "side")]
    Side = 2,
    /// `oblique`.
    #[rasn(identifier = "oblique")]
    Oblique = 3,
}

/// State of the lock of a slot.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ParkingLock {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `nolock`.
    #[rasn(identifier = "nolock")]
    Nolock = 1,
    /// `locked`.
    #[rasn(identifier = "locked")]
    Locked = 2,
    /// `unlocked`.
    #[rasn(identifier = "unlocked")]
    Unlocked = 3,
}

/// The way of one vehicle through a car park.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ParkingGuide {
    /// The vehicle: 8 octets.
    #[rasn(identifier = "vehId")]
    pub veh_id: FixedOctetString<8>,
    /// Nodes of the way: 1 to 32.
    #[rasn(identifier = "drivePath", size("1..=32"))]
    pub drive_path: SequenceOf<u16>,
    /// Slot to go to: `0..=65535`.
    #[rasn(identifier = "targetParkingSlot", value("0..=65535"))]
    pub target_parking_slot: Option<u16>,
}
