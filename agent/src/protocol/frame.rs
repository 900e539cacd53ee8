//! Frames: a message with its length before it.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

/// The longest frame, in bytes, without its length.
pub const LONGEST_FRAME: usize = 1 << 20;

/// Writes one frame and flushes.
pub fn write_frame(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&frame(message)?)?;
    to.flush()
}

/// One frame as bytes.
pub fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let length = bytes.len() - 4;
    if length > LONGEST_FRAME {
        let text = format!("a frame of {length} bytes is too long");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let prefix = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    bytes[..4].copy_from_slice(&prefix);
    Ok(bytes)
}

/// Reads one frame; `None` at the end of the stream.
pub fn read_frame<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut prefix = [0; 4];
    let mut filled = 0;
    while filled < prefix.len() {
        match from.read(&mut prefix[filled..]) {
            Ok(0) if filled == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut bytes = vec![0; length(prefix)?];
    from.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

/// The length that a frame begins with; fails for one that is too long.
pub fn length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(prefix) as usize;
    if length > LONGEST_FRAME {
        let text = format!("a frame of {length} bytes is announced: this is not the protocol");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(length)
}

/// The message of a frame without its length.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    postcard::from_bytes(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{FromAgent, Request, RequestId, ToAgent};

    fn ping(id: RequestId) -> ToAgent {
        let request = Request::Ping;
        ToAgent::Request { id, request }
    }

    #[test]
    fn frames_come_out_as_they_went_in_and_the_stream_ends_between_them() {
        let mut stream = Vec::new();
        for id in [1, 70_000] {
            write_frame(&mut stream, &ping(id)).unwrap();
        }
        let mut reader = stream.as_slice();
        assert_eq!(read_frame(&mut reader).unwrap(), Some(ping(1)));
        assert_eq!(read_frame(&mut reader).unwrap(), Some(ping(70_000)));
        assert_eq!(read_frame::<ToAgent>(&mut reader).unwrap(), None);
    }

    #[test]
    fn a_stream_cut_anywhere_in_a_frame_is_an_error() {
        let whole = frame(&ping(9)).unwrap();
        for end in 1..whole.len() {
            let cut = read_frame::<ToAgent>(&mut &whole[..end]);
            assert_eq!(cut.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn what_is_not_the_protocol_is_refused_before_memory_is_given_to_it() {
        let http = b"HTTP/1.1 400 Bad Request\r\n";
        let error = read_frame::<FromAgent>(&mut &http[..]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let bytes = vec![0; LONGEST_FRAME + 1];
        let chunk = ToAgent::Chunk { id: 1, bytes };
        assert!(frame(&chunk).is_err());
    }
}
