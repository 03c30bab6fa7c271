//! Entries as OSM PBF, with plain nodes, written by hand.

use std::io::Write;

use osmdb::{Entry, Kind, Origin, Payload, Tags};

/// A message in the making.
#[derive(Default)]
struct Message(Vec<u8>);

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).expect("seven bits fit") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("seven bits fit"));
}

const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        put_varint(&mut self.0, field << 3);
        put_varint(&mut self.0, value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        put_varint(&mut self.0, field << 3 | 2);
        put_varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }

    fn packed(&mut self, field: u64, values: impl IntoIterator<Item = u64>) {
        let mut all = Vec::new();
        values.into_iter().for_each(|value| put_varint(&mut all, value));
        self.bytes(field, &all);
    }
}

/// The strings of a block, each once. The first is empty: it stands for "none".
struct Strings(Vec<String>);

impl Strings {
    fn place(&mut self, text: &str) -> u64 {
        let known = self.0.iter().skip(1).position(|known| known == text).map(|place| place + 1);
        let place = known.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        place as u64
    }

    fn tags(&mut self, message: &mut Message, tags: &Tags) {
        let pairs: Vec<(u64, u64)> =
            tags.iter().map(|(key, value)| (self.place(key), self.place(value))).collect();
        message.packed(2, pairs.iter().map(|(key, _)| *key));
        message.packed(3, pairs.iter().map(|(_, value)| *value));
    }

    fn info(&mut self, message: &mut Message, entry: &Entry) {
        let Origin::Imported(meta) = &entry.origin else { return };
        let mut info = Message::default();
        let numbers = [
            (1, meta.version),
            (2, meta.timestamp.map(i64::cast_unsigned)),
            (3, meta.changeset),
            (4, meta.uid),
            (5, meta.user.as_ref().map(|user| self.place(user))),
            (6, entry.payload.is_none().then_some(0)),
        ];
        for (field, value) in numbers {
            if let Some(value) = value {
                info.number(field, value);
            }
        }
        message.bytes(4, &info.0);
    }
}

fn differences(ids: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut before = 0;
    let step = |id: u64| {
        let difference = zigzag(id.cast_signed() - before);
        before = id.cast_signed();
        difference
    };
    ids.into_iter().map(step).collect()
}

/// Writes one element, and returns the field of the group that holds its kind.
fn element(entry: &Entry, strings: &mut Strings) -> (u64, Vec<u8>) {
    let mut message = Message::default();
    let id = entry.element.id;
    message.number(1, if entry.element.kind == Kind::Node { zigzag(id.cast_signed()) } else { id });
    strings.info(&mut message, entry);
    if let Some(payload) = &entry.payload {
        strings.tags(&mut message, payload.tags());
    }
    match &entry.payload {
        Some(Payload::Node { coord, .. }) => {
            message.number(8, zigzag(coord.lat().into()));
            message.number(9, zigzag(coord.lon().into()));
        }
        Some(Payload::Way { refs, .. }) => message.packed(8, differences(refs.iter().copied())),
        Some(Payload::Relation { members, .. }) => {
            message.packed(8, members.iter().map(|member| strings.place(&member.role)).collect::<Vec<_>>());
            message.packed(9, differences(members.iter().map(|member| member.element.id)));
            message.packed(10, members.iter().map(|member| member.element.kind.code().into()));
        }
        Some(Payload::Changeset { .. }) | None => {}
    }
    let field = match entry.element.kind {
        Kind::Node => 1,
        Kind::Way => 3,
        Kind::Relation | Kind::Changeset => 4,
    };
    (field, message.0)
}

fn frame(out: &mut Vec<u8>, kind: &str, content: &[u8]) {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(content).expect("memory takes bytes");
    let mut blob = Message::default();
    blob.number(2, content.len() as u64);
    blob.bytes(3, &packer.finish().expect("memory takes bytes"));
    let mut header = Message::default();
    header.bytes(1, kind.as_bytes());
    header.number(3, blob.0.len() as u64);
    let len = u32::try_from(header.0.len()).expect("a header is short");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&header.0);
    out.extend_from_slice(&blob.0);
}

/// Writes imported entries as an `.osm.pbf` file, in their order, a few hundred to a block.
#[must_use]
pub fn to_pbf(entries: &[Entry]) -> Vec<u8> {
    to_pbf_shifted(entries, 0)
}

/// Writes imported entries as an `.osm.pbf` file that moves all nodes north by so many 10⁻⁹ degrees.
#[must_use]
pub fn to_pbf_shifted(entries: &[Entry], north: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut header = Message::default();
    ["OsmSchema-V0.6", "DenseNodes"].iter().for_each(|feature| header.bytes(4, feature.as_bytes()));
    frame(&mut out, "OSMHeader", &header.0);
    for entries in entries.chunks(400) {
        let mut strings = Strings(vec![String::new()]);
        let mut groups = Vec::new();
        for kind in entries.chunk_by(|a, b| a.element.kind == b.element.kind) {
            let mut group = Message::default();
            for entry in kind {
                let (field, message) = element(entry, &mut strings);
                group.bytes(field, &message);
            }
            groups.push(group);
        }
        let mut table = Message::default();
        strings.0.iter().for_each(|text| table.bytes(1, text.as_bytes()));
        let mut block = Message::default();
        block.bytes(1, &table.0);
        groups.iter().for_each(|group| block.bytes(2, &group.0));
        if north > 0 {
            block.number(19, north);
        }
        frame(&mut out, "OSMData", &block.0);
    }
    out
}
