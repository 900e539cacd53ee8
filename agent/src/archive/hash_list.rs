//! The hash list of a volume, as `b3sum` writes it.

/// Writes the line of a file over another.
pub(super) fn line(hash: &[u8; 32], volume: &[u8], path: &[u8], to: &mut Vec<u8>) {
    to.clear();
    let is_escaped = path.iter().any(|byte| matches!(byte, b'\\' | b'\n'));
    if is_escaped {
        to.push(b'\\');
    }
    to.extend_from_slice(blake3::Hash::from_bytes(*hash).to_hex().as_bytes());
    to.extend_from_slice(b"  ");
    to.extend_from_slice(volume);
    for byte in path {
        match byte {
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            other => to.push(*other),
        }
    }
    to.push(b'\n');
}

/// How much of a line is before its path.
pub(super) fn before_path(line: &[u8]) -> usize {
    let escape = usize::from(line.starts_with(b"\\"));
    escape + 2 * 32 + 2
}
