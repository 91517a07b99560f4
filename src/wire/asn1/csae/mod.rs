//! What both releases of T/CSAE 53 write alike: hand-written types, members in wire order.
//!
//! Types end in the names of the standard; `identifier` is the member's exact name, which JSON
//! shows. Comments give range, unit, and the value for unknown. A bit string is a type of its own
//! because JSON needs to know that its size is fixed.

mod event;
mod motion;
mod position;
mod road;
mod rsm;
mod spat;
mod time;
mod vehicle;

pub use event::*;
pub use motion::*;
pub use position::*;
pub use road::*;
pub use rsm::*;
pub use spat::*;
pub use time::*;
pub use vehicle::*;
