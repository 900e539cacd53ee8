//! Small values of datasets, each its own type.

use std::{fmt, str::FromStr};

use regex::Regex;
use serde::{Deserialize, Serialize, Serializer};

/// Whose a file is: a user and a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The user.
    pub user: Principal,
    /// The group.
    pub group: Principal,
}

/// A user or a group of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Principal {
    /// By its number.
    Number(u32),
    /// By the name that the container knows it by.
    Name(String),
}

impl FromStr for Principal {
    type Err = NotOfData;
    fn from_str(text: &str) -> Result<Self, NotOfData> {
        let is_name = |text: &str| {
            let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let mut bytes = text.bytes();
            first && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        };
        if is_name(text) {
            Ok(Self::Name(text.to_owned()))
        } else {
            digits(text, 10).map(Self::Number)
        }
    }
}

impl FromStr for Owner {
    type Err = NotOfData;
    fn from_str(text: &str) -> Result<Self, NotOfData> {
        let (user, group) = text.split_once(':').ok_or(NotOfData)?;
        Ok(Self {
            user: user.parse()?,
            group: group.parse()?,
        })
    }
}

/// The permissions of a file: nine bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FileMode(u16);

impl FileMode {
    /// What a file has where nothing is said: everybody reads it, its owner writes it.
    pub const USUAL: Self = Self(0o644);

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The same for a directory: who can read it can enter it.
    #[must_use]
    pub const fn of_directory(self) -> Self {
        Self(self.0 | ((self.0 & 0o444) >> 2))
    }
}

impl FromStr for FileMode {
    type Err = NotOfData;
    fn from_str(text: &str) -> Result<Self, NotOfData> {
        if !matches!(text.len(), 3 | 4) {
            return Err(NotOfData);
        }
        let bits = digits(text, 8)?;
        let bits = u16::try_from(bits).map_err(|_| NotOfData)?;
        if bits > 0o777 {
            return Err(NotOfData);
        }
        Ok(Self(bits))
    }
}

/// What stands between two values of a row: an ASCII character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Delimiter(char);

impl Delimiter {
    /// What it is where nothing is said.
    pub const USUAL: Self = Self(',');

    /// The character.
    pub const fn as_char(self) -> char {
        self.0
    }
}

impl FromStr for Delimiter {
    type Err = NotOfData;
    fn from_str(text: &str) -> Result<Self, NotOfData> {
        let mut characters = text.chars();
        match (characters.next(), characters.next()) {
            // Databases refuse these too: a value could not be told from what is between values.
            (Some(one), None)
                if one == '\t' || (one.is_ascii_graphic() && one != '"') || one == ' ' =>
            {
                Ok(Self(one))
            }
            _ => Err(NotOfData),
        }
    }
}

/// A text that is not what it should be; whoever wanted it knows what that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a value of this kind")]
pub struct NotOfData;

/// A number of digits alone: no sign, no space.
fn digits(text: &str, radix: u32) -> Result<u32, NotOfData> {
    if text.chars().all(|c| c.is_digit(radix)) {
        u32::from_str_radix(text, radix).map_err(|_| NotOfData)
    } else {
        Err(NotOfData)
    }
}

macro_rules! methods {
    ($($variant:ident, $name:literal;)*) => {
        /// The method of a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum HttpMethod {$(
            #[doc = concat!("`", $name, "`.")]
            #[serde(rename = $name)]
            $variant,
        )*}

        impl HttpMethod {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, such as `GET`.
            pub const fn name(self) -> &'static str {
                match self {$(Self::$variant => $name,)*}
            }
        }
    };
}

methods! {
    Get, "GET";
    Head, "HEAD";
    Post, "POST";
    Put, "PUT";
    Patch, "PATCH";
    Delete, "DELETE";
    Options, "OPTIONS";
}

impl fmt::Display for HttpMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The status that a request must be answered with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ExpectedStatus {
    /// Any of 200 to 299.
    #[default]
    Success,
    /// This one, of 100 to 599.
    Exactly(u16),
}

impl ExpectedStatus {
    /// Whether a status is one that is wanted.
    pub const fn accepts(self, status: u16) -> bool {
        match self {
            Self::Success => status >= 200 && status < 300,
            Self::Exactly(wanted) => status == wanted,
        }
    }
}

/// What a service must answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// Whatever it says.
    Any,
    /// This text; white space at the ends of both does not count.
    Equals(String),
    /// A text with this one in it.
    Contains(String),
    /// A text in which this pattern finds something; white space at its ends does not count.
    Matches(Pattern),
}

impl Answer {
    /// Whether what was said is what is wanted.
    pub fn accepts(&self, said: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Equals(text) => said.trim() == text.trim(),
            Self::Contains(text) => said.contains(text),
            Self::Matches(pattern) => pattern.0.is_match(said.trim()),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Equals(text) => f.write_str(text.trim()),
            Self::Contains(text) => write!(f, "something with `{text}` in it"),
            Self::Matches(pattern) => write!(f, "something that matches `{}`", pattern.as_str()),
        }
    }
}

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// The expression as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for Pattern {
    type Err = regex::Error;
    fn from_str(text: &str) -> Result<Self, regex::Error> {
        Regex::new(text).map(Self)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_a_user_and_a_group_each_a_number_or_a_name() {
        let owner: Owner = "1000:0".parse().unwrap();
        let number = Principal::Number;
        assert_eq!((owner.user, owner.group), (number(1000), number(0)));
        let owner: Owner = "_apt:www-data".parse().unwrap();
        let name = |name: &str| Principal::Name(name.to_owned());
        assert_eq!((owner.user, owner.group), (name("_apt"), name("www-data")));
        for bad in [
            "",
            "1000",
            "1000:",
            ":1",
            "+1:1",
            "-x:1",
            "a b:1",
            "1:2:3",
            "4294967296:1",
        ] {
            assert!(bad.parse::<Owner>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_mode_is_octal_and_a_directory_can_be_entered() {
        let mode: FileMode = "0640".parse().unwrap();
        assert_eq!((mode.bits(), mode.of_directory().bits()), (0o640, 0o750));
        assert_eq!("644".parse::<FileMode>().unwrap(), FileMode::USUAL);
        for bad in ["", "64", "0888", "4755", "07777", "rw-r--r--", "+644"] {
            assert!(bad.parse::<FileMode>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_delimiter_is_one_character_that_values_can_be_told_from() {
        for good in [",", ";", "\t", "|", " "] {
            assert!(good.parse::<Delimiter>().is_ok(), "{good:?}");
        }
        for bad in ["", ",,", "\"", "\n", "\r", "é", "\\t"] {
            assert!(bad.parse::<Delimiter>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_answer_is_compared_without_the_white_space_around_it() {
        let matches = |text: &str| Answer::Matches(text.parse().unwrap());
        for (answer, said, is_right) in [
            (Answer::Any, "", true),
            (Answer::Equals("12".to_owned()), " 12\n", true),
            (Answer::Equals("12".to_owned()), "120", false),
            (Answer::Contains("ann".to_owned()), "hannah", true),
            (Answer::Contains("ann".to_owned()), "bob", false),
            (Answer::Contains(" ".to_owned()), "ann", false),
            (matches("^v[0-9]+$"), "v12\n", true),
            (matches("^v[0-9]+$"), "w12", false),
        ] {
            assert_eq!(answer.accepts(said), is_right, "{answer:?} {said}");
        }
    }

    #[test]
    fn a_status_is_a_success_unless_one_is_named() {
        assert!(ExpectedStatus::Success.accepts(204) && !ExpectedStatus::Success.accepts(302));
        let teapot = ExpectedStatus::Exactly(418);
        assert!(teapot.accepts(418) && !teapot.accepts(200));
    }

    #[test]
    fn a_method_is_written_by_its_name() {
        for method in HttpMethod::ALL {
            let json = serde_json::to_value(method).unwrap();
            assert_eq!(json, method.to_string());
        }
    }
}
