//! Writing native JSON records.

use crate::wire::record::{Decimal, ProbeRecord, VehicleName};

/// Appends `record` to `out` as one JSON object.
///
/// Longitude and latitude are written with 7 decimals (1 cm), speed, heading and acceleration with
/// 2; values that are not finite are written as 0, the rest is not checked.
pub fn encode_record(record: &ProbeRecord<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"id\":");
    match record.id {
        VehicleName::Text(text) => put_text(text, out),
        VehicleName::Number(number) => out.extend_from_slice(Decimal::of(number).as_bytes()),
    }
    out.extend_from_slice(b",\"ts\":");
    put_fixed(record.observed_at.as_millis(), 0, out);
    out.extend_from_slice(b",\"lon\":");
    put_fixed((record.position.lon_deg * 1e7).round() as i64, 7, out);
    out.extend_from_slice(b",\"lat\":");
    put_fixed((record.position.lat_deg * 1e7).round() as i64, 7, out);
    let decimals = [
        (b",\"speed\":".as_slice(), record.speed_mps),
        (b",\"heading\":", record.heading_deg),
        (b",\"accel\":", record.accel_mps2),
    ];
    for (name, value) in decimals {
        if let Some(value) = value {
            out.extend_from_slice(name);
            put_fixed((f64::from(value) * 1e2).round() as i64, 2, out);
        }
    }
    if let Some(kind) = record.kind {
        out.extend_from_slice(b",\"type\":");
        put_text(kind, out);
    }
    out.push(b'}');
}

/// Appends `records` to `out` as `{"records":[…]}`.
pub fn encode_batch(records: &[ProbeRecord<'_>], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"records\":[");
    for (index, record) in records.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_record(record, out);
    }
    out.extend_from_slice(b"]}");
}

/// Writes `value / 10^decimals` as a plain decimal without superfluous zeros.
fn put_fixed(value: i64, decimals: usize, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let scale = 10u64.pow(decimals as u32);
    let (whole, mut fraction) = (value.unsigned_abs() / scale, value.unsigned_abs() % scale);
    out.extend_from_slice(Decimal::of(whole).as_bytes());
    if fraction == 0 {
        return;
    }
    let mut places = decimals;
    while fraction % 10 == 0 {
        fraction /= 10;
        places -= 1;
    }
    let digits = Decimal::of(fraction);
    out.push(b'.');
    out.resize(out.len() + places - digits.as_bytes().len(), b'0');
    out.extend_from_slice(digits.as_bytes());
}

/// Writes a JSON string.
fn put_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                let hex = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}
