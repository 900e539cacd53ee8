//! What a header tells, by its bytes. It need not be strict: who reads encodes what was understood anew and compares.

use std::borrow::Cow;

use super::{
    Attributes, BLOCK, Device, Extended, Moment, Problem,
    header::{
        EXTENDED, Field, Flag, GROUP, Header, MODIFIED, PATH, REAL_SIZE, SIZE, TARGET, USER,
        checksum,
    },
};

/// Reads a number of a header.
pub(super) fn number(field: Field, block: &[u8; BLOCK]) -> Result<u64, Problem> {
    let digits = text(field.of(block));
    let digits = digits.strip_suffix(b" ").unwrap_or(digits);
    digits.iter().try_fold(0_u64, |sum, digit| match digit {
        b'0'..=b'7' if sum < 1 << 60 => Ok(sum * 8 + u64::from(digit - b'0')),
        _ => Err(Problem::NotCanonical),
    })
}

/// A field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// Refuses a header whose checksum is wrong.
pub(super) fn verify(block: &[u8; BLOCK]) -> Result<(), Problem> {
    match number(Field::CHECKSUM, block) {
        Ok(told) if told == checksum(block) => Ok(()),
        _ => Err(Problem::Checksum),
    }
}

/// Reads a header and the records before it.
pub(super) fn header(records: &[u8], block: &[u8; BLOCK]) -> Result<Header<'static>, Problem> {
    let flag = Field::FLAG.of(block)[0];
    let narrow = |field| {
        number(field, block)
            .and_then(|number| u32::try_from(number).map_err(|_| Problem::NotCanonical))
    };
    let seconds = number(Field::MODIFIED, block)?;
    let mut header = Header {
        flag: Flag::of(flag).ok_or(Problem::Kind(flag))?,
        name: Cow::Owned(name(block)),
        target: Cow::Owned(text(Field::TARGET.of(block)).to_vec()),
        attributes: Attributes {
            mode: narrow(Field::MODE)?,
            user: narrow(Field::USER)?,
            group: narrow(Field::GROUP)?,
            modified: Moment {
                seconds: i64::try_from(seconds).map_err(|_| Problem::NotCanonical)?,
                nanoseconds: 0,
            },
        },
        size: number(Field::SIZE, block)?,
        real_size: None,
        device: Device {
            major: narrow(Field::MAJOR)?,
            minor: narrow(Field::MINOR)?,
        },
        extended: Cow::Owned(Extended::new()),
    };
    let mut left = records;
    while !left.is_empty() {
        let (key, value, rest) = record(left).ok_or(Problem::NotCanonical)?;
        apply(&mut header, key, value)?;
        left = rest;
    }
    Ok(header)
}

fn name(block: &[u8; BLOCK]) -> Vec<u8> {
    let (prefix, name) = (text(Field::PREFIX.of(block)), text(Field::NAME.of(block)));
    if prefix.is_empty() {
        name.to_vec()
    } else {
        [prefix, b"/", name].concat()
    }
}

/// The first record's key and value, and what comes after it.
fn record(records: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = records.iter().take(20).position(|byte| *byte == b' ')?;
    let length: usize = decimal(&records[..space])?;
    let (record, rest) = records.split_at_checked(length)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((&pair[..equals], &pair[equals + 1..], rest))
}

/// A number in decimal digits.
pub(super) fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    str::from_utf8(digits).ok()?.parse().ok()
}

fn apply(header: &mut Header<'_>, key: &[u8], value: &[u8]) -> Result<(), Problem> {
    if let Some(name) = key.strip_prefix(EXTENDED) {
        let extended = header.extended.to_mut();
        extended.insert(unescaped(name), value.to_vec());
        return Ok(());
    }
    let attributes = &mut header.attributes;
    match key {
        PATH => header.name = Cow::Owned(value.to_vec()),
        TARGET => header.target = Cow::Owned(value.to_vec()),
        SIZE => header.size = decimal(value).ok_or(Problem::NotCanonical)?,
        USER => attributes.user = decimal(value).ok_or(Problem::NotCanonical)?,
        GROUP => attributes.group = decimal(value).ok_or(Problem::NotCanonical)?,
        MODIFIED => attributes.modified = moment(value).ok_or(Problem::NotCanonical)?,
        REAL_SIZE => header.real_size = Some(decimal(value).ok_or(Problem::NotCanonical)?),
        // Others tell nothing, or are missing in what is encoded anew.
        _ => {}
    }
    Ok(())
}

fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut left = name;
    while let Some((first, rest)) = left.split_first() {
        left = rest;
        match left.first_chunk() {
            Some(b"25") if *first == b'%' => {
                plain.push(b'%');
                left = &left[2..];
            }
            Some(b"3D") if *first == b'%' => {
                plain.push(b'=');
                left = &left[2..];
            }
            _ => plain.push(*first),
        }
    }
    plain
}

fn moment(text: &[u8]) -> Option<Moment> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let dot = text.iter().position(|byte| *byte == b'.');
    let (seconds, fraction) = match dot {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b""[..]),
    };
    if fraction.len() > 9 {
        return None;
    }
    let mut nanoseconds = [b'0'; 9];
    nanoseconds[..fraction.len()].copy_from_slice(fraction);
    let seconds: u64 = decimal(seconds)?;
    let all = i128::from(seconds) * 1_000_000_000 + i128::from(decimal::<u32>(&nanoseconds)?);
    let all = if is_negative { -all } else { all };
    Some(Moment {
        seconds: i64::try_from(all.div_euclid(1_000_000_000)).ok()?,
        nanoseconds: u32::try_from(all.rem_euclid(1_000_000_000)).ok()?,
    })
}
