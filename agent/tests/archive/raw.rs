//! Archives, byte by byte: without what devenv writes them with, which would refuse most of these.

/// The fields of a header.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    pub(crate) name: Vec<u8>,
    pub(crate) flag: u8,
    pub(crate) mode: String,
    pub(crate) user: String,
    pub(crate) size: String,
    pub(crate) target: Vec<u8>,
    pub(crate) magic: [u8; 8],
    pub(crate) user_name: &'static [u8],
    pub(crate) prefix: &'static [u8],
}

impl Head {
    pub(crate) fn new(name: &str, flag: u8) -> Self {
        Self {
            name: name.into(),
            flag,
            mode: "0000644".into(),
            user: "0000000".into(),
            size: size(0),
            target: Vec::new(),
            magic: *b"ustar\x0000",
            user_name: b"",
            prefix: b"",
        }
    }

    pub(crate) fn file(name: &str, length: usize) -> Self {
        let mut head = Self::new(name, b'0');
        head.size = size(length);
        head
    }

    pub(crate) fn link(name: &str, flag: u8, target: &str) -> Self {
        let mut head = Self::new(name, flag);
        head.target = target.into();
        head
    }

    pub(crate) fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, self.mode.as_bytes());
        put(108, self.user.as_bytes());
        put(116, b"0000000");
        put(124, self.size.as_bytes());
        put(136, b"00000000000");
        put(148, b"        ");
        put(156, &[self.flag]);
        put(157, &self.target);
        put(257, &self.magic);
        put(265, self.user_name);
        put(329, b"0000000\x000000000");
        put(345, self.prefix);
        seal(&mut block);
        block
    }
}

/// Writes the checksum that a header has.
pub(crate) fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
}

pub(crate) fn size(length: usize) -> String {
    format!("{length:011o}")
}

/// `<length> <key>=<value>\n`
pub(crate) fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let rest = [b" ", key.as_bytes(), b"=", value.as_ref(), b"\n"].concat();
    let mut length = rest.len() + 1;
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    [length.to_string().into_bytes(), rest].concat()
}

/// A pax header before another header.
pub(crate) fn pax_header(records: &[u8], block: &[u8]) -> Vec<u8> {
    let hash = blake3::hash(&[records, block].concat());
    let mut head = Head::new(&format!("PaxHeaders/{hash}"), b'x');
    head.size = size(records.len());
    [head.block().to_vec(), filled(records)].concat()
}

/// Contents with what fills them up to a block.
fn filled(contents: &[u8]) -> Vec<u8> {
    let mut filled = contents.to_vec();
    filled.resize(contents.len().next_multiple_of(512), 0);
    filled
}

/// An archive that is being put together, and the records of its next member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw(pub(crate) Vec<u8>, Option<Vec<u8>>);

pub(crate) const VOLUME: &str = "volumes/db/data/";

impl Raw {
    /// One with a manifest.
    pub(crate) fn new() -> Self {
        Self::default().member(&Head::file("snapshot.json", 2), b"{}")
    }

    /// One with a manifest, and the directory of a volume.
    pub(crate) fn volume() -> Self {
        Self::new().member(&Head::new(VOLUME, b'5'), b"")
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn member(mut self, head: &Head, contents: &[u8]) -> Self {
        let block = head.block();
        let records = self.1.take();
        let records = records.map(|records| pax_header(&records, &block));
        let all = self.bytes(&records.unwrap_or_default());
        all.bytes(&block).bytes(&filled(contents))
    }

    /// A pax header before the next member.
    pub(crate) fn records(mut self, records: &[u8]) -> Self {
        self.1 = Some(records.to_vec());
        self
    }

    pub(crate) fn file(self, path: &str, contents: &[u8]) -> Self {
        let name = format!("{VOLUME}{path}");
        self.member(&Head::file(&name, contents.len()), contents)
    }

    pub(crate) fn directory(self, path: &str) -> Self {
        self.member(&Head::new(&format!("{VOLUME}{path}/"), b'5'), b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.member(&Head::link(&format!("{VOLUME}{path}"), b'2', target), b"")
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.member(&Head::link(&format!("{VOLUME}{path}"), b'1', target), b"")
    }

    /// The hash list of those files.
    pub(crate) fn list(self, files: &[(&str, &[u8])]) -> Self {
        let lines = files.iter().map(|(path, contents)| line(path, contents));
        self.listed(&lines.collect::<String>())
    }

    /// A hash list with that text.
    pub(crate) fn listed(self, text: &str) -> Self {
        self.member(&Head::file("hashes/db/data", text.len()), text.as_bytes())
    }

    /// The archive with its end.
    pub(crate) fn end(self) -> Vec<u8> {
        self.bytes(&[0; 1024]).0
    }
}

pub(crate) fn line(path: &str, contents: &[u8]) -> String {
    format!("{}  {VOLUME}{path}\n", blake3::hash(contents).to_hex())
}
