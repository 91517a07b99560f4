//! The legal speed limits of countries, km/h, for cars where no sign says otherwise.
//!
//! From the road traffic acts as collected in the OSM wiki, Default speed limits; China: 道路交通
//! 安全法实施条例 art. 45 (towns and roads) and art. 78 (expressways); Brazil: Código de Trânsito
//! Brasileiro art. 61. Countries whose limits differ by state (US, CA, IN) are left out.

use crate::network::CountryCode;
use crate::network::model::RoadClass;

/// The limits of one country, km/h.
#[derive(Debug, PartialEq)]
pub(super) struct Country {
    pub(super) code: CountryCode,
    urban: u16,
    rural: u16,
    /// Roads for motor vehicles only, or with separate carriageways, outside towns.
    dual: u16,
    /// Where the law sets none, the speed it recommends.
    motorway: u16,
    living_street: u16,
    /// In towns by [`RoadClass`], where the law tells road classes apart.
    urban_by_class: Option<[u16; 8]>,
    /// Roads without a centre line in towns and outside.
    unmarked: Option<[u16; 2]>,
}

const fn country(code: &[u8; 2], kmh: [u16; 5]) -> Country {
    let [urban, rural, dual, motorway, living_street] = kmh;
    Country {
        code: CountryCode(*code),
        urban,
        rural,
        dual,
        motorway,
        living_street,
        urban_by_class: None,
        unmarked: None,
    }
}

/// Walking pace where the law asks for it, km/h.
const WALK: u16 = 7;

/// Every country known, by code. Columns: urban, rural, dual carriageway, motorway, living street.
const COUNTRIES: [Country; 32] = [
    country(b"AT", [50, 100, 100, 130, WALK]),
    country(b"AU", [50, 100, 100, 110, 10]),
    country(b"BE", [50, 90, 120, 120, 20]),
    country(b"BG", [50, 90, 120, 140, 20]),
    Country {
        // Trânsito rápido 80, arterial 60, coletora 40, local 30.
        urban_by_class: Some([80, 80, 60, 60, 40, 30, 30, 30]),
        ..country(b"BR", [60, 100, 110, 110, 30])
    },
    country(b"CH", [50, 80, 100, 120, 20]),
    Country {
        unmarked: Some([30, 40]),
        ..country(b"CN", [50, 70, 70, 120, 20])
    },
    country(b"CZ", [50, 90, 110, 130, 20]),
    country(b"DE", [50, 100, 130, 130, WALK]),
    country(b"DK", [50, 80, 80, 130, 15]),
    country(b"ES", [50, 90, 100, 120, 20]),
    country(b"FI", [50, 80, 80, 120, 20]),
    country(b"FR", [50, 80, 110, 130, 20]),
    country(b"GB", [48, 97, 113, 113, 32]),
    country(b"GR", [50, 90, 110, 130, 20]),
    country(b"HR", [50, 90, 110, 130, 10]),
    country(b"HU", [50, 90, 110, 130, 20]),
    country(b"IT", [50, 90, 110, 130, 30]),
    country(b"JP", [60, 60, 60, 100, 30]),
    country(b"LU", [50, 90, 90, 130, 20]),
    country(b"MC", [50, 50, 50, 50, 20]),
    country(b"NL", [50, 80, 100, 100, 15]),
    country(b"NO", [50, 80, 80, 110, WALK]),
    country(b"PL", [50, 90, 100, 140, 20]),
    country(b"PT", [50, 90, 100, 120, 20]),
    country(b"RO", [50, 90, 100, 130, 20]),
    country(b"RU", [60, 90, 90, 110, 20]),
    country(b"SE", [50, 70, 70, 110, WALK]),
    country(b"SI", [50, 90, 110, 130, 10]),
    country(b"SK", [50, 90, 90, 130, 20]),
    country(b"TR", [50, 90, 110, 130, 20]),
    country(b"UA", [50, 90, 110, 130, 20]),
];

/// The limits of a country, if they are known here.
pub(super) fn limits_of(code: CountryCode) -> Option<&'static Country> {
    COUNTRIES.iter().find(|country| country.code == code)
}

/// What decides the limit of a road without a sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) class: RoadClass,
    /// Inside a town; `None` when nothing says.
    pub(super) is_urban: Option<bool>,
    pub(super) is_living_street: bool,
    pub(super) is_link: bool,
    /// For motor vehicles only.
    pub(super) is_motorroad: bool,
    /// A road of one lane in all, or without lane markings.
    pub(super) is_unmarked: bool,
}

impl Country {
    /// The limit of a zone as OSM names it (`urban`, `rural`, `trunk`, `motorway`, …), km/h.
    pub(super) fn of_zone(&self, zone: &str, class: RoadClass) -> Option<f32> {
        let kmh = match zone {
            "urban" | "nsl_restricted" | "urban_primary" | "urban_secondary" => self
                .urban_by_class
                .map_or(self.urban, |by_class| by_class[class as usize]),
            "rural" | "nsl_single" => self.rural,
            "trunk" | "motorroad" | "nsl_dual" | "expressway" | "express" | "dual_carriageway" => {
                self.dual
            }
            "motorway" => self.motorway,
            "living_street" | "pedestrian_zone" => self.living_street,
            "bicycle_road" | "cyclestreet" => 30,
            _ => return None,
        };
        Some(f32::from(kmh))
    }

    /// The limit of a road without a sign, km/h; `None` where the law depends on what isn't known.
    pub(super) fn unsigned(&self, road: Setting) -> Option<f32> {
        let zone = match (road.class, road.is_urban) {
            _ if road.is_living_street => "living_street",
            _ if road.is_link => return None,
            (RoadClass::Service, _) => return None,
            (RoadClass::Motorway, _) => "motorway",
            (_, Some(true)) => {
                if let Some([kmh, _]) = self.unmarked.filter(|_| road.is_unmarked) {
                    return Some(f32::from(kmh));
                }
                "urban"
            }
            _ if road.is_motorroad => "motorroad",
            (_, Some(false)) => {
                if let Some([_, kmh]) = self.unmarked.filter(|_| road.is_unmarked) {
                    return Some(f32::from(kmh));
                }
                "rural"
            }
            (_, None) => return None,
        };
        self.of_zone(zone, road.class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_in_order_and_sensible() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.code < b.code));
        for country in &COUNTRIES {
            assert!(country.living_street < country.urban && country.urban <= country.rural);
            assert!(country.rural <= country.dual && country.dual <= country.motorway);
        }
    }

    #[test]
    fn china_limits_roads_by_place_and_marking() {
        let china = limits_of(CountryCode(*b"CN")).unwrap();
        let street = Setting {
            class: RoadClass::Tertiary,
            is_urban: Some(true),
            is_living_street: false,
            is_link: false,
            is_motorroad: false,
            is_unmarked: false,
        };
        let kmh = |setting: Setting| china.unsigned(setting).unwrap_or(0.0) as u16;
        assert_eq!(kmh(street), 50);
        assert_eq!(
            kmh(Setting {
                is_unmarked: true,
                ..street
            }),
            30
        );
        assert_eq!(
            kmh(Setting {
                is_urban: Some(false),
                ..street
            }),
            70
        );
        assert_eq!(
            kmh(Setting {
                class: RoadClass::Motorway,
                ..street
            }),
            120
        );
        assert_eq!(
            kmh(Setting {
                is_urban: None,
                ..street
            }),
            0
        );
    }
}
