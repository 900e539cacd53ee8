//! Reads an archive, and nothing that is not as devenv writes it.

use std::{io::Read, mem, vec};

use super::{
    Bound, Entry, Error, Kind, LONGEST_MANIFEST, Layout, Limits, Problem, Segment, VolumeId,
    hash_list,
    header::{Field, Flag, Header, PAX},
    names::{Place, place},
    order::{Order, bounded},
    padding, parse,
    source::Source,
    sparse,
    writer::{FileHash, LONGEST_RECORDS, header, plain},
};

/// Reads an archive, one member after another.
#[derive(Debug)]
pub struct Reader<R> {
    source: Source<R>,
    order: Order,
    state: State,
    /// Contents of the last entry that were not yet read.
    contents: Option<Contents>,
    totals: Totals,
    /// The name of the member being read and where it begins.
    name: Option<Vec<u8>>,
    begins: u64,
    /// A header as it came, and encoded anew; used again for each.
    came: Vec<u8>,
    anew: Vec<u8>,
    /// What was wrong: nothing is read after that.
    failed: Option<Error>,
}

/// What may come next.
#[derive(Debug)]
enum State {
    Manifest,
    Volumes,
    /// Its first entry was read and is told next.
    Begun(VolumeId, Entry),
    Within(VolumeId),
    Ended,
}

/// A part of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// The manifest: the first member.
    Manifest(Vec<u8>),
    /// A volume begins.
    Volume(VolumeId),
    /// Something in the volume. [`Reader::chunk`] tells the contents of a file; they are verified only at the volume's end.
    Entry(Entry),
    /// The volume ended, and all contents were those that its hash list tells.
    End(Totals),
}

/// How much a volume holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// All that is no directory: a file with two names counts twice.
    pub files: u64,
    /// The lengths of the files together; one with several names counts once.
    pub bytes: u64,
}

/// A piece of a file's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk<'a> {
    /// Where in the file it is.
    pub at: u64,
    /// The data.
    pub bytes: &'a [u8],
}

/// Contents that are being read.
#[derive(Debug)]
struct Contents {
    pieces: vec::IntoIter<Segment>,
    /// What is left of the piece that is being read.
    piece: Segment,
    size: u64,
    hash: FileHash,
    padding: usize,
}

impl<R: Read> Reader<R> {
    /// Begins to read.
    pub fn new(from: R, limits: Limits) -> Self {
        Self {
            source: Source::new(from),
            order: Order::new(limits),
            state: State::Manifest,
            contents: None,
            totals: Totals::default(),
            name: None,
            begins: 0,
            came: Vec::new(),
            anew: Vec::new(),
            failed: None,
        }
    }

    /// What comes next; `None` once the archive has ended and nothing follows it.
    pub fn member(&mut self) -> Result<Option<Member>, Error> {
        self.or_fail(Self::next)
    }

    /// More of the contents of the last entry; `None` at their end, and for what has none.
    pub fn chunk(&mut self) -> Result<Option<Chunk<'_>>, Error> {
        self.or_fail(|reader| {
            if reader.ready()? {
                reader.source.ready()?;
            }
            Ok(())
        })?;
        Ok(self.contents.as_mut().map(|contents| {
            let at = contents.piece.at;
            let bytes = contents.take(&mut self.source);
            Chunk { at, bytes }
        }))
    }

    fn or_fail<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        work(self).map_err(|problem| {
            let offset = match problem {
                Problem::Truncated | Problem::Unreadable(_) => self.source.offset,
                _ => self.begins,
            };
            let error = problem.at(self.name.as_deref(), offset);
            self.failed.insert(error).clone()
        })
    }

    fn next(&mut self) -> Result<Option<Member>, Problem> {
        while self.ready()? {
            self.source.ready()?;
            if let Some(contents) = &mut self.contents {
                contents.take(&mut self.source);
            }
        }
        match mem::replace(&mut self.state, State::Ended) {
            State::Begun(volume, entry) => {
                self.begin_contents(&entry);
                self.state = State::Within(volume);
                return Ok(Some(Member::Entry(entry)));
            }
            State::Ended => return Ok(None),
            state => self.state = state,
        }
        self.name = None;
        self.begins = self.source.offset;
        let Some(header) = self.announced()? else {
            return self.end().map(|()| None);
        };
        self.follow(header).map(Some)
    }

    /// Whether more data of the last entry comes. Where none does, the contents are brought to their end.
    fn ready(&mut self) -> Result<bool, Problem> {
        let Some(contents) = &mut self.contents else {
            return Ok(false);
        };
        if contents.piece.length == 0 {
            if let Some(piece) = contents.pieces.next() {
                contents.hash.hole(piece.at);
                contents.piece = piece;
            } else if let Some(ended) = self.contents.take() {
                self.fill(ended.padding)?;
                self.order.known.hashed(&ended.hash.end(ended.size));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads what fills up a block.
    fn fill(&mut self, count: usize) -> Result<(), Problem> {
        let mut left = count;
        while left > 0 {
            let some = self.source.some(left as u64)?;
            if some.iter().any(|byte| *byte != 0) {
                return Err(Problem::Padding);
            }
            left -= some.len();
        }
        Ok(())
    }

    /// Reads a header with the records before it; `None` where the end begins.
    fn announced(&mut self) -> Result<Option<Header<'static>>, Problem> {
        self.came.clear();
        let mut block = self.source.block()?;
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        parse::verify(&block)?;
        let mut records = 0..0;
        if Field::FLAG.of(&block)[0] == PAX {
            let length = parse::number(Field::SIZE, &block)?;
            bounded(length, LONGEST_RECORDS as u64, Bound::Records)?;
            self.came.extend_from_slice(&block);
            let begin = self.came.len();
            let count = usize::try_from(length).map_err(|_| Problem::NotCanonical)?;
            self.source
                .append(count + padding(length), &mut self.came)?;
            records = begin..begin + count;
            block = self.source.block()?;
            parse::verify(&block)?;
        }
        let header = parse::header(&self.came[records], &block)?;
        self.came.extend_from_slice(&block);
        self.name = Some(header.name.to_vec());
        Ok(Some(header))
    }

    /// Refuses a header whose bytes are others than those which devenv writes for it.
    fn compare(&mut self, anew: &Header<'_>) -> Result<(), Problem> {
        self.anew.clear();
        anew.encode(&mut self.anew);
        if self.anew == self.came {
            Ok(())
        } else {
            Err(Problem::NotCanonical)
        }
    }

    fn follow(&mut self, header: Header<'static>) -> Result<Member, Problem> {
        let name = header.name.clone();
        let named = match (header.flag, name.strip_suffix(b"/")) {
            (Flag::Directory, Some(name)) => name,
            (Flag::Directory, None) => return Err(Problem::NotCanonical),
            _ => &name[..],
        };
        let place = place(named).map_err(Problem::Name)?;
        match (mem::replace(&mut self.state, State::Ended), place) {
            (State::Manifest, Place::Manifest) => self.manifest(&header),
            (State::Manifest, _) => Err(Problem::NoManifest),
            (State::Volumes, Place::Within(volume, path)) => {
                self.order.begin(&volume)?;
                self.totals = Totals::default();
                let entry = self.entry(header, &volume, path)?;
                self.state = State::Begun(volume.clone(), entry);
                Ok(Member::Volume(volume))
            }
            (State::Within(volume), Place::Within(of, path)) if volume == of => {
                let entry = self.entry(header, &volume, path)?;
                self.begin_contents(&entry);
                self.state = State::Within(volume);
                Ok(Member::Entry(entry))
            }
            (State::Within(volume), Place::HashList(of)) if volume == of => {
                self.hash_list(&header, &volume)?;
                self.state = State::Volumes;
                Ok(Member::End(self.totals))
            }
            (State::Within(_), Place::Within(..) | Place::HashList(_)) => Err(Problem::NoHashList),
            _ => Err(Problem::Unexpected),
        }
    }

    fn manifest(&mut self, header: &Header<'_>) -> Result<Member, Problem> {
        self.compare(&plain(&header.name, header.size))?;
        bounded(header.size, LONGEST_MANIFEST as u64, Bound::Manifest)?;
        let length = usize::try_from(header.size).map_err(|_| Problem::NotCanonical)?;
        let mut manifest = Vec::with_capacity(length);
        self.source.append(length, &mut manifest)?;
        self.fill(padding(header.size))?;
        self.state = State::Volumes;
        Ok(Member::Manifest(manifest))
    }

    fn entry(
        &mut self,
        announced: Header<'static>,
        volume: &VolumeId,
        path: &[u8],
    ) -> Result<Entry, Problem> {
        let size = announced.size;
        if announced.real_size.is_some() {
            // Its map is read only if it is announced as it would be.
            self.compare(&announced)?;
        }
        let kind = match announced.flag {
            Flag::Directory => Kind::Directory,
            Flag::File => Kind::File(match announced.real_size {
                Some(real_size) => self.layout(real_size, size)?,
                None => Layout::whole(size),
            }),
            Flag::Symlink => Kind::Symlink {
                target: announced.target.to_vec(),
            },
            Flag::HardLink => Kind::HardLink {
                target: target(&announced.target, volume)?,
            },
            Flag::Pipe => Kind::Pipe,
            Flag::CharacterDevice => Kind::CharacterDevice(announced.device),
            Flag::BlockDevice => Kind::BlockDevice(announced.device),
        };
        let entry = Entry {
            path: path.to_vec(),
            kind,
            attributes: announced.attributes,
            extended: announced.extended.into_owned(),
        };
        // What the entry does not tell, such as the size of a directory, would be missing here.
        let (anew, _) = header(volume, &entry);
        self.compare(&anew)?;
        self.order.admit(&entry)?;
        if entry.kind != Kind::Directory {
            self.totals.files += 1;
        }
        if let Kind::File(layout) = &entry.kind {
            self.totals.bytes += layout.size();
        }
        Ok(entry)
    }

    /// Reads the map of a file with holes.
    fn layout(&mut self, real_size: u64, size: u64) -> Result<Layout, Problem> {
        let most = self.order.limits.segments as u64;
        bounded(real_size, self.order.limits.file, Bound::File)?;
        let mut map = self.source.block()?.to_vec();
        let announced = sparse::Announced::of(&map).ok_or(Problem::Holes)?;
        if announced.pieces > most + 1 {
            let bound = Bound::Segments;
            return Err(Problem::TooMuch { bound, most });
        }
        let mut lines = sparse::lines(&map);
        let longest = size.min(announced.longest());
        while lines < announced.lines() {
            if map.len() as u64 >= longest {
                return Err(Problem::Holes);
            }
            let block = self.source.block()?;
            lines += sparse::lines(&block);
            map.extend_from_slice(&block);
        }
        let layout = announced.layout(&map, real_size).ok_or(Problem::Holes)?;
        let is_sound = !layout.is_whole()
            && sparse::map(&layout) == map
            && map.len() as u64 + layout.stored() == size;
        if is_sound {
            Ok(layout)
        } else {
            Err(Problem::Holes)
        }
    }

    fn begin_contents(&mut self, entry: &Entry) {
        let Kind::File(layout) = &entry.kind else {
            return;
        };
        self.contents = Some(Contents {
            size: layout.size(),
            // The map before the data fills its blocks.
            padding: padding(layout.stored()),
            pieces: layout.data().to_vec().into_iter(),
            piece: Segment { at: 0, length: 0 },
            hash: FileHash::new(),
        });
    }

    /// Reads a hash list: it has to be the one that devenv writes for what was read.
    fn hash_list(&mut self, announced: &Header<'_>, volume: &VolumeId) -> Result<(), Problem> {
        self.compare(&plain(&announced.name, announced.size))?;
        let directory = volume.member(b"");
        let (mut line, mut came) = (Vec::new(), Vec::new());
        let mut left = announced.size;
        for index in 0..self.order.known.count() {
            let Some((path, hash)) = self.order.known.with_contents(index) else {
                continue;
            };
            hash_list::line(hash, &directory, path, &mut line);
            let length = line.len() as u64;
            left = left.checked_sub(length).ok_or(Problem::HashList)?;
            came.clear();
            self.source.append(line.len(), &mut came)?;
            if came != line {
                let of = hash_list::before_path(&line);
                if came[of..] != line[of..] {
                    return Err(Problem::HashList);
                }
                self.name = Some(volume.member(path));
                return Err(Problem::Damaged);
            }
        }
        if left != 0 {
            return Err(Problem::HashList);
        }
        self.fill(padding(announced.size))
    }

    /// Reads the end, of which the first block was read.
    fn end(&mut self) -> Result<(), Problem> {
        match mem::replace(&mut self.state, State::Ended) {
            State::Volumes => {}
            State::Manifest => return Err(Problem::NoManifest),
            _ => return Err(Problem::NoHashList),
        }
        let last = self.source.block()?;
        if last.iter().any(|byte| *byte != 0) || !self.source.is_at_end()? {
            return Err(Problem::Trailing);
        }
        Ok(())
    }
}

impl Contents {
    /// What is there of the piece that is being read.
    fn take<'a, R: Read>(&mut self, source: &'a mut Source<R>) -> &'a [u8] {
        let bytes = source.take(self.piece.length);
        self.hash.data(bytes);
        self.piece.at += bytes.len() as u64;
        self.piece.length -= bytes.len() as u64;
        bytes
    }
}

/// The path in its volume of what a hard link is another name of.
fn target(target: &[u8], volume: &VolumeId) -> Result<Vec<u8>, Problem> {
    let path = target.strip_prefix(&volume.member(b"")[..]);
    path.map(<[u8]>::to_vec).ok_or(Problem::Target)
}
