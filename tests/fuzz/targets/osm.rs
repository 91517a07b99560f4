//! The content of an OSM block, unpacked, behind a sound header: what a damaged or hostile extract
//! says reaches the importer itself.
#![no_main]

use libfuzzer_sys::fuzz_target;

/// The blobs around a block: a header that asks for nothing unknown, then the block as it is.
fn file(block: &[u8]) -> Vec<u8> {
    let mut body = vec![0x0a];
    varint(block.len(), &mut body);
    body.extend_from_slice(block);
    let mut header = b"\x0a\x07OSMData\x18".to_vec();
    varint(body.len(), &mut header);
    let mut file = b"\0\0\0\x0d\x0a\x09OSMHeader\x18\x02\x0a\0".to_vec();
    file.extend_from_slice(&(header.len() as u32).to_be_bytes());
    file.extend_from_slice(&header);
    file.extend_from_slice(&body);
    file
}

fn varint(mut value: usize, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fuzz_target!(|block: &[u8]| roadcast_fuzz::read_and_walk(&file(block)));
