//! Amounts of processor time and memory, as Kubernetes writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A text that is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount of {of}: write it like {example}")]
pub struct InvalidQuantity {
    text: String,
    of: &'static str,
    example: &'static str,
}

/// Processor time in thousandths of a core. `2`, `0.5` and `500m` are texts for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpu {
    millis: u64,
}

/// Memory in bytes. `256Mi`, `1Gi`, `500M` and `1048576` are texts for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory {
    bytes: u64,
}

impl Cpu {
    /// Thousandths of a core.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }
    /// Thousandths of a core.
    pub const fn millis(self) -> u64 {
        self.millis
    }
}

impl Memory {
    /// Bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self { bytes }
    }
    /// Bytes.
    pub const fn bytes(self) -> u64 {
        self.bytes
    }
}

/// Splits `12.5Mi` into 12.5 and `Mi`. Negative amounts and exponents are refused.
fn split(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "amounts are finite, not negative, and far below 2^53"
)]
fn scaled(value: f64, factor: f64) -> u64 {
    (value * factor).ceil() as u64
}

impl FromStr for Cpu {
    type Err = InvalidQuantity;
    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let factor = |unit: &str| match unit {
            "" => Some(1_000.0),
            "m" => Some(1.0),
            "u" => Some(1e-3),
            "n" => Some(1e-6),
            _ => None,
        };
        split(text)
            .and_then(|(value, unit)| {
                Some(Self {
                    millis: scaled(value, factor(unit)?),
                })
            })
            .ok_or_else(|| InvalidQuantity {
                text: text.to_owned(),
                of: "CPU",
                example: "`500m` or `2`",
            })
    }
}

impl FromStr for Memory {
    type Err = InvalidQuantity;
    fn from_str(text: &str) -> Result<Self, InvalidQuantity> {
        let factor = |unit: &str| match unit {
            "" => Some(1.0),
            "k" => Some(1e3),
            "M" => Some(1e6),
            "G" => Some(1e9),
            "T" => Some(1e12),
            "Ki" => Some(1024.0),
            "Mi" => Some(1_048_576.0),
            "Gi" => Some(1_073_741_824.0),
            "Ti" => Some(1_099_511_627_776.0),
            _ => None,
        };
        split(text)
            .and_then(|(value, unit)| {
                Some(Self {
                    bytes: scaled(value, factor(unit)?),
                })
            })
            .ok_or_else(|| InvalidQuantity {
                text: text.to_owned(),
                of: "memory",
                example: "`256Mi` or `1Gi`",
            })
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.millis.is_multiple_of(1_000) {
            write!(f, "{}", self.millis / 1_000)
        } else {
            write!(f, "{}m", self.millis)
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_u64 << 40, "Ti"),
            (1 << 30, "Gi"),
            (1 << 20, "Mi"),
            (1 << 10, "Ki"),
        ];
        match units
            .iter()
            .find(|(size, _)| self.bytes >= *size && self.bytes.is_multiple_of(*size))
        {
            Some((size, unit)) => write!(f, "{}{unit}", self.bytes / size),
            None => write!(f, "{}", self.bytes),
        }
    }
}

macro_rules! by_text {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = InvalidQuantity;
            fn try_from(text: String) -> Result<Self, InvalidQuantity> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
by_text!(Cpu);
by_text!(Memory);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_reads_them() {
        assert_eq!("0.5".parse::<Cpu>().unwrap().millis(), 500);
        assert_eq!("50m".parse::<Cpu>().unwrap().millis(), 50);
        assert_eq!("2".parse::<Cpu>().unwrap().to_string(), "2");
        assert_eq!("256Mi".parse::<Memory>().unwrap().bytes(), 256 << 20);
        assert_eq!("1.5Gi".parse::<Memory>().unwrap().to_string(), "1536Mi");
        for bad in ["", "x", "-1", "12Q", "Mi"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}
