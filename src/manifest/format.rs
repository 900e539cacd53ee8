//! Texts with a meaning: how they are checked, and how the schema describes them.

use std::{borrow::Cow, path::PathBuf, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::{dataset::format as dataset, env_file};
use crate::domain::{Cpu, Memory, ProfileName, ProjectName, ServiceName, TaskName, parse_duration};

/// Why a text is not of its format.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It does not read as one; why, or empty where the format says enough.
    Invalid(String),
    /// It is a path that leads out of where it must stay.
    Outside {
        /// What it is relative to.
        base: &'static str,
        /// What it must not leave.
        whole: Whole,
    },
}

/// What a path must not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Project,
    Dataset,
}

impl std::fmt::Display for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Project => "the project",
            Self::Dataset => "the dataset",
        })
    }
}

/// What the paths of most keys are relative to.
const PROJECT: &str = "the directory of devenv.yaml";
/// What the paths of `live` are relative to.
const CONTEXT: &str =
    "the service's build context (the directory of devenv.yaml where nothing is built)";

/// A kind of text.
pub(super) struct TextFormat {
    /// Its name in the schema.
    pub(super) name: &'static str,
    /// What is wanted, as in "must be ...".
    pub(super) wanted: &'static str,
    /// Whether YAML numbers and booleans are taken too, as they are written.
    pub(super) takes_numbers: bool,
    /// The regular expression for editors; empty if there is none.
    pub(super) pattern: &'static str,
    /// Checks a text.
    pub(super) check: fn(&str) -> Result<(), Refusal>,
}

/// A type written as a text of a format.
pub(super) trait Formatted {
    /// The format.
    const FORMAT: TextFormat;
}

/// Every format but those of datasets, for those who find it by its name.
pub(super) static FORMATS: [TextFormat; 24] = [
    Age::FORMAT,
    ContainerPath::FORMAT,
    ContextPath::FORMAT,
    ContextPattern::FORMAT,
    Cpu::FORMAT,
    EnvName::FORMAT,
    GlobPattern::FORMAT,
    HostName::FORMAT,
    ImageReference::FORMAT,
    InnerPath::FORMAT,
    KubernetesVersion::FORMAT,
    LabelName::FORMAT,
    LabelValue::FORMAT,
    Memory::FORMAT,
    PartName::FORMAT,
    PortName::FORMAT,
    ProfileName::FORMAT,
    ProjectName::FORMAT,
    ServiceName::FORMAT,
    TaskName::FORMAT,
    UrlPath::FORMAT,
    VersionRequirement::FORMAT,
    Within::FORMAT,
    Written::FORMAT,
];

/// The format called `name`.
pub(super) fn format_called(name: &str) -> Option<&'static TextFormat> {
    let mut formats = FORMATS.iter().chain(&dataset::FORMATS);
    formats.find(|format| format.name == name)
}

/// The schema of a format.
pub(super) fn schema_of(format: &TextFormat) -> serde_json::Value {
    if format.pattern.is_empty() {
        json!({"type": "string", "format": format.name})
    } else {
        json!({"type": "string", "format": format.name, "pattern": format.pattern})
    }
}

macro_rules! formatted {
    ($type:ty, $name:literal, $wanted:expr, $takes_numbers:literal, $pattern:expr, $check:expr) => {
        impl Formatted for $type {
            const FORMAT: TextFormat = TextFormat {
                name: $name,
                wanted: $wanted,
                takes_numbers: $takes_numbers,
                pattern: $pattern,
                check: $check,
            };
        }
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let schema = schema_of(&<$type>::FORMAT);
                Schema::try_from(schema).unwrap_or_else(|_| json_schema!({}))
            }
        }
    };
}

macro_rules! texts {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $wanted:expr, $takes_numbers:literal, $pattern:expr, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
        pub(in crate::manifest) struct $type(pub(in crate::manifest) String);
        formatted!($type, $name, $wanted, $takes_numbers, $pattern, $check);
    )*};
}

pub(super) use {formatted, texts};

texts! {
    /// A scalar taken as it is written.
    Written, "scalar", "a text, a number or `true`/`false`", true, "", |_| Ok(());
    /// The name of an environment variable.
    EnvName, "environment-variable", "the name of an environment variable", false,
        "^[A-Za-z_.-][A-Za-z0-9_.-]*$", variable_name;
    /// The name of a label.
    LabelName, "label-name", "the name of a label such as `team` or `example.com/team`", false,
        "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$", label_name;
    /// The value of a label.
    LabelValue, "label-value", "at most 63 letters, digits, `-`, `_` and `.`, without a sign at its ends", true,
        "^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$", |text| when(text.is_empty() || is_label_part(text));
    /// A Kubernetes version.
    KubernetesVersion, "kubernetes-version", "a Kubernetes version such as `1.35` or `1.35.4`", true,
        r"^1\.\d+(\.\d+)?$", |text| when(is_kubernetes_version(text));
    /// A host name.
    HostName, "host-name", "a host name such as `shop.localhost`", false,
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$", |text| when(is_host(text));
    /// The path of a URL.
    UrlPath, "url-path", "a path that begins with `/`, such as `/healthz`", false, r"^/\S*$",
        |text| when(text.starts_with('/') && !text.contains(char::is_whitespace));
    /// A path in a container.
    ContainerPath, "container-path", "an absolute path in the container without `..`, such as `/data`", false, "^/.+$",
        |text| when(is_container_path(text));
    /// The name of a port, as Kubernetes takes it.
    PortName, "port-name", "a port name: 1 to 15 lower-case letters, digits and `-`, with a letter", false,
        "^[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?$", |text| when(is_port_name(text));
    /// The name of a part of a service, such as a volume.
    PartName, "part-name", "1 to 63 lower-case letters, digits and `-`, without a `-` at its ends", false,
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", |text| when(text.len() <= 63 && is_label(text));
    /// An image reference.
    ImageReference, "image", "an image reference such as `redis:7`", false, r"^\S+$",
        |text| when(is_image(text));
    /// A pattern of paths inside the project.
    GlobPattern, "glob", "a pattern of files inside the project, such as `k8s/*.yaml`", false, "",
        |text| inside(text, PROJECT).and_then(|()| glob(text));
    /// A pattern of paths inside a service's build context.
    ContextPattern, "context-glob", "a pattern of files inside the build context, such as `*.py` or `tests/`", false, "",
        |text| inside(text, CONTEXT).and_then(|()| not_negated(text)).and_then(|()| glob(text));
}

impl ContainerPath {
    /// The same path without what says nothing: `.` and repeated slashes.
    pub(super) fn normal(&self) -> String {
        container_parts(&self.0).fold(String::new(), |path, part| path + "/" + part)
    }
}

/// A path relative to the project directory that stays inside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct InnerPath(pub(super) PathBuf);
formatted!(
    InnerPath,
    "path",
    "a path inside the project, relative to its directory",
    false,
    "",
    |text| inside(text, PROJECT)
);

/// A path relative to a service's build context that stays inside it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ContextPath(pub(super) PathBuf);
formatted!(
    ContextPath,
    "context-path",
    "a path inside the build context, relative to it",
    false,
    "",
    |text| inside(text, CONTEXT)
);

/// A version requirement.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct VersionRequirement(pub(super) semver::VersionReq);
formatted!(
    VersionRequirement,
    "version-requirement",
    "a version requirement such as `>=5.8` or `>=0.1, <2`",
    true,
    "",
    |text| semver::VersionReq::parse(text)
        .map(|_| ())
        .map_err(|error| Refusal::Invalid(error.to_string()))
);

/// A length of time that something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Within(pub(super) Duration);
formatted!(
    Within,
    "time-span",
    "a length of time such as `90s`, `5m` or `1m30s`, of a day at most",
    false,
    r"^(\d+(h|m|s|ms))+$",
    |text| when(time_span(text).is_some())
);

impl TryFrom<String> for Within {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        time_span(&text).map(Self).ok_or(Self::FORMAT.wanted)
    }
}

/// How old something may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Age(pub(super) Duration);
formatted!(
    Age,
    "age",
    "an age such as `30d`, `72h` or `1d12h`",
    false,
    r"^(\d+(d|h|m|s|ms))+$",
    |text| when(age(text).is_some())
);

impl TryFrom<String> for Age {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, &'static str> {
        age(&text).map(Self).ok_or(Self::FORMAT.wanted)
    }
}

fn age(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|age| !age.is_zero())
}

const LABEL: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// The longest name Helm takes for a release.
const LONGEST_RELEASE: usize = 53;

formatted!(
    ServiceName,
    "service-name",
    "the name of a service",
    false,
    LABEL,
    |text| {
        named::<ServiceName>(text)?;
        if text.len() > LONGEST_RELEASE {
            let reason = format!("it is longer than {LONGEST_RELEASE} characters, Helm's limit");
            return Err(Refusal::Invalid(reason));
        }
        Ok(())
    }
);
formatted!(
    TaskName,
    "task-name",
    "the name of a task",
    false,
    LABEL,
    named::<TaskName>
);
formatted!(
    ProjectName,
    "project-name",
    "the name of a project",
    false,
    LABEL,
    named::<ProjectName>
);
formatted!(
    ProfileName,
    "profile-name",
    "the name of a profile",
    false,
    LABEL,
    named::<ProfileName>
);
formatted!(
    Cpu,
    "cpu",
    "an amount of processor time such as `500m` or `2`",
    true,
    r"^\d+(\.\d+)?[mun]?$",
    |text| when(text.parse::<Cpu>().is_ok_and(|cpu| cpu.millis() > 0))
);
formatted!(
    Memory,
    "memory",
    "an amount of memory such as `256Mi` or `1Gi`",
    true,
    r"^\d+(\.\d+)?([kMGT]|[KMGT]i)?$",
    |text| when(
        text.parse::<Memory>()
            .is_ok_and(|memory| memory.bytes() > 0)
    )
);

/// Longer waits are slips.
const LONGEST: Duration = Duration::from_hours(24);

/// How long something may take: not nothing, and not more than a day.
pub(super) fn time_span(text: &str) -> Option<Duration> {
    let span = parse_duration(text).ok()?;
    (!span.is_zero() && span <= LONGEST).then_some(span)
}

/// Good, or refused without a further reason.
pub(super) fn when(is_good: bool) -> Result<(), Refusal> {
    if is_good {
        Ok(())
    } else {
        Err(Refusal::Invalid(String::new()))
    }
}

/// Whether `text` is a name of this kind.
pub(super) fn named<T: std::str::FromStr<Err = crate::domain::InvalidName>>(
    text: &str,
) -> Result<(), Refusal> {
    text.parse::<T>()
        .map(|_| ())
        .map_err(|error| Refusal::Invalid(error.reason.to_owned()))
}

/// Whether `text` is a path of the project, relative to `base` without a way up.
fn inside(text: &str, base: &'static str) -> Result<(), Refusal> {
    stays(text, base, Whole::Project)
}

/// Whether `text` is a path relative to `base` without a way up.
pub(super) fn stays(text: &str, base: &'static str, whole: Whole) -> Result<(), Refusal> {
    if text.is_empty() || text.contains('\0') {
        return Err(Refusal::Invalid("it is empty".to_owned()));
    }
    let leaves = std::path::Path::new(text).components().any(|part| {
        use std::path::Component::{ParentDir, Prefix, RootDir};
        matches!(part, ParentDir | Prefix(_) | RootDir)
    });
    if leaves || text.starts_with('~') {
        Err(Refusal::Outside { base, whole })
    } else {
        Ok(())
    }
}

/// Exceptions would need an order in which patterns count, which layers and lists of rules do not have.
fn not_negated(text: &str) -> Result<(), Refusal> {
    if text.starts_with('!') {
        let reason = "`!` has no meaning at its beginning".to_owned();
        Err(Refusal::Invalid(reason))
    } else {
        Ok(())
    }
}

fn glob(text: &str) -> Result<(), Refusal> {
    globset::Glob::new(text)
        .map(|_| ())
        .map_err(|error| Refusal::Invalid(error.kind().to_string()))
}

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Labels by which devenv and its chart find what is theirs.
const OWN_LABELS: [&str; 6] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/managed-by",
    "devenv.project",
    "devenv.service",
    "pod-template-hash",
];

fn variable_name(text: &str) -> Result<(), Refusal> {
    let wanted =
        "only letters, digits, `_`, `.` and `-` are allowed, and no digit at the beginning";
    let is_name = env_file::is_name(text);
    is_name
        .then_some(())
        .ok_or_else(|| Refusal::Invalid(wanted.to_owned()))
}

fn label_name(text: &str) -> Result<(), Refusal> {
    if OWN_LABELS.contains(&text) {
        return Err(Refusal::Invalid("devenv sets this label itself".to_owned()));
    }
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    when(is_label_part(name) && prefix.is_none_or(is_host))
}

fn is_label_part(text: &str) -> bool {
    let ends_well = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

fn is_port_name(text: &str) -> bool {
    text.len() <= 15
        && is_label(text)
        && !text.contains("--")
        && text.bytes().any(|b| b.is_ascii_lowercase())
}

fn is_host(text: &str) -> bool {
    text.len() <= 253
        && text
            .split('.')
            .all(|part| part.len() <= 63 && is_label(part))
}

fn is_container_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.contains(':')
        && container_parts(text).next().is_some()
        && container_parts(text).all(|part| part != "..")
}

fn container_parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('/').filter(|part| !matches!(*part, "" | "."))
}

fn is_image(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
        && !text.starts_with(['-', '.', '/', ':', '@'])
}

fn is_kubernetes_version(text: &str) -> bool {
    let is_number = |part: &&str| {
        !part.is_empty() && part.len() < 6 && part.bytes().all(|b| b.is_ascii_digit())
    };
    let parts: Vec<&str> = text.split('.').collect();
    matches!(parts.len(), 2 | 3) && parts[0] == "1" && parts.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes<T: Formatted>(text: &str) -> bool {
        (T::FORMAT.check)(text).is_ok()
    }

    #[test]
    fn a_path_that_leaves_the_project_is_refused() {
        for good in ["services/order", "./a", ".", "a..b/c"] {
            assert!(takes::<InnerPath>(good), "{good}");
        }
        let outside = |base| {
            Err(Refusal::Outside {
                base,
                whole: Whole::Project,
            })
        };
        for bad in ["/etc", "..", "a/../../b", "~/x"] {
            let refusal = (InnerPath::FORMAT.check)(bad);
            assert_eq!(refusal, outside(PROJECT), "{bad}");
            let refusal = (ContextPattern::FORMAT.check)(bad);
            assert_eq!(refusal, outside(CONTEXT), "{bad}");
        }
    }

    #[test]
    fn a_container_path_is_absolute_and_never_goes_up() {
        for bad in ["app", "/", "/.", "//", "/..", "/a/..", "/a/../b", "/a:b"] {
            assert!(!takes::<ContainerPath>(bad), "{bad}");
        }
        for (written, normal) in [
            ("/app", "/app"),
            ("/app//./src/", "/app/src"),
            ("/a..b", "/a..b"),
        ] {
            assert!(takes::<ContainerPath>(written), "{written}");
            assert_eq!(ContainerPath(written.to_owned()).normal(), normal);
        }
    }

    #[test]
    fn a_pattern_of_the_context_is_one_that_can_be_matched() {
        for good in ["*.py", "tests/", "src/**/*.go", "Dockerfile"] {
            assert!(takes::<ContextPattern>(good), "{good}");
        }
        for bad in ["src/[", "!kept.py", ""] {
            assert!(!takes::<ContextPattern>(bad), "{bad}");
        }
    }

    #[test]
    fn a_service_name_fits_a_helm_release() {
        assert!(takes::<ServiceName>(&"x".repeat(53)));
        assert!(!takes::<ServiceName>(&"x".repeat(54)));
    }

    #[test]
    fn formats_know_good_from_bad() {
        assert!(takes::<KubernetesVersion>("1.30") && !takes::<KubernetesVersion>("v1.30"));
        assert!(takes::<HostName>("shop.localhost") && !takes::<HostName>("shop_x.localhost"));
        assert!(takes::<PortName>("http") && !takes::<PortName>("8080"));
        assert!(takes::<ImageReference>("127.0.0.1:5050/a/b@sha256:00"));
        assert!(!takes::<ImageReference>("a b") && !takes::<ImageReference>(""));
        assert!(takes::<VersionRequirement>(">=0.1, <2"));
        assert!(!takes::<VersionRequirement>("latest"));
        assert!(!takes::<Cpu>("0") && takes::<Cpu>("0.5") && takes::<Memory>("1Gi"));
    }
}
