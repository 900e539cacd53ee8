//! `.dockerignore`, with the meaning that the docker tools give it.
//!
//! It looks like `.gitignore` and is not: patterns are anchored at the context's root, a pattern that matches
//! a directory also covers all below it, the last pattern that matches wins, and `!` brings files back even
//! from below an excluded directory.

use std::path::Path;

/// The rules of one `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

/// A line that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}` {reason}")]
pub struct InvalidPattern {
    /// Counts from 1.
    pub line: usize,
    /// The line as written.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

#[derive(Debug, Clone)]
struct Rule {
    effect: Effect,
    tokens: Vec<Token>,
    /// The pattern's first parts, one a name, as far as each stands for exactly one name; used to prune.
    leading: Vec<Vec<Token>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Exclude,
    BringBack,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    /// `?`: one character of a name.
    NameChar,
    /// `*`: any characters of a name.
    Name,
    /// `**/`: any number of directories, also none.
    Directories,
    /// `**` at the end: anything.
    Everything,
    /// `[a-z]` or `[^a-z]`.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

/// Which rules cover a directory: what its children inherit.
pub(in crate::adapters) type Covered = Vec<bool>;

impl IgnoreRules {
    /// The rules written in `text`.
    pub(in crate::adapters) fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let rules = text
            .lines()
            .enumerate()
            .filter_map(|(index, line)| {
                Rule::parse(line)
                    .map_err(|reason| InvalidPattern {
                        line: index + 1,
                        text: line.to_owned(),
                        reason,
                    })
                    .transpose()
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// What the children of the root inherit: nothing.
    pub(in crate::adapters) fn root(&self) -> Covered {
        vec![false; self.rules.len()]
    }

    /// Whether `path`, in a directory covered by `parent`, is left out; and what covers its own children.
    pub(in crate::adapters) fn check(&self, path: &Path, parent: &Covered) -> (bool, Covered) {
        let text: Vec<char> = path.to_string_lossy().chars().collect();
        let mut excluded = false;
        let covered = self
            .rules
            .iter()
            .zip(parent)
            .map(|(rule, inherited)| {
                let matches = *inherited || matches(&rule.tokens, &text);
                if matches {
                    excluded = rule.effect == Effect::Exclude;
                }
                matches
            })
            .collect();
        (excluded, covered)
    }

    /// Whether a `!` rule could bring back something below the excluded directory `path`, which has `covered` by
    /// [`Self::check`].
    pub(in crate::adapters) fn may_bring_back_below(&self, path: &Path, covered: &Covered) -> bool {
        let directory: Vec<Vec<char>> = path
            .iter()
            .map(|part| part.to_string_lossy().chars().collect())
            .collect();
        // Rules before one that covers all below the directory have nothing to say there.
        let last = covered.iter().rposition(|covers| *covers);
        self.rules
            .iter()
            .skip(last.map_or(0, |last| last + 1))
            .filter(|rule| rule.effect == Effect::BringBack)
            .any(|rule| {
                rule.leading
                    .iter()
                    .zip(&directory)
                    .all(|(wanted, name)| matches(wanted, name))
            })
    }
}

impl Rule {
    /// The rule of a line; `None` for a blank line or a comment.
    fn parse(line: &str) -> Result<Option<Self>, &'static str> {
        if line.starts_with('#') {
            return Ok(None);
        }
        let line = line.trim();
        let (effect, pattern) = match line.strip_prefix('!') {
            Some(rest) => (Effect::BringBack, rest.trim()),
            None => (Effect::Exclude, line),
        };
        if pattern.is_empty() {
            return match effect {
                Effect::Exclude => Ok(None),
                Effect::BringBack => Err("has nothing after the `!`"),
            };
        }
        let pattern = clean(pattern);
        // A class can match `/`, and `**` any number of names: from there on nothing is known.
        let leading = pattern
            .split('/')
            .take_while(|part| !part.contains("**") && !part.contains(['[', '\\']))
            .map(tokens)
            .collect::<Result<_, _>>()?;
        Ok(Some(Self {
            effect,
            tokens: tokens(&pattern)?,
            leading,
        }))
    }
}

/// Whether the tokens match the whole of `text`.
///
/// Keeps the set of all positions that the tokens so far can end at, so that no pattern is slow.
fn matches(tokens: &[Token], text: &[char]) -> bool {
    let mut ends = vec![false; text.len() + 1];
    ends[0] = true;
    tokens.iter().all(|token| token.advance(text, &mut ends)) && ends[text.len()]
}

impl Token {
    /// Moves the set of positions over this token; whether any is left.
    fn advance(&self, text: &[char], ends: &mut [bool]) -> bool {
        match self {
            Self::Char(_) | Self::NameChar | Self::Class { .. } => {
                for at in (0..text.len()).rev() {
                    ends[at + 1] = ends[at] && self.takes(text[at]);
                }
                ends[0] = false;
            }
            Self::Name => {
                for at in 0..text.len() {
                    ends[at + 1] |= ends[at] && text[at] != '/';
                }
            }
            Self::Directories => {
                let mut begun = false;
                for at in 0..text.len() {
                    begun |= ends[at];
                    ends[at + 1] |= begun && text[at] == '/';
                }
            }
            Self::Everything => {
                for at in 0..text.len() {
                    ends[at + 1] |= ends[at];
                }
            }
        }
        ends.contains(&true)
    }

    fn takes(&self, character: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == character,
            Self::NameChar => character != '/',
            Self::Class { negated, ranges } => {
                let inside = ranges
                    .iter()
                    .any(|(low, high)| (*low..=*high).contains(&character));
                inside != *negated
            }
            Self::Name | Self::Directories | Self::Everything => false,
        }
    }
}

/// Removes `.`, `..` with what it takes back, doubled and trailing slashes, and the leading one.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Above the root there is nothing, as for an absolute path.
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    // Docker takes `**name` without other wildcards as "ends with name", also within a file's name.
    if let Some(rest) = pattern.strip_prefix("**")
        && !rest.starts_with('/')
        && !rest.contains(['*', '?', '[', ']', '\\'])
    {
        let mut tokens = vec![Token::Everything];
        tokens.extend(rest.chars().map(Token::Char));
        return Ok(tokens);
    }
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        tokens.push(match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                rest.next_if_eq(&'/');
                match rest.peek() {
                    Some(_) => Token::Directories,
                    None => Token::Everything,
                }
            }
            '*' => Token::Name,
            '?' => Token::NameChar,
            '[' => class(&mut rest)?,
            '\\' => Token::Char(rest.next().ok_or("ends with a lone `\\`")?),
            other => Token::Char(other),
        });
    }
    Ok(tokens)
}

/// Reads a class up to its `]`.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const UNCLOSED: &str = "has a `[` without its `]`";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let single = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| match rest.next() {
        Some('\\') => rest.next().ok_or(UNCLOSED),
        other => other.ok_or(UNCLOSED),
    };
    loop {
        if rest.next_if_eq(&']').is_some() {
            break;
        }
        let low = single(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() {
            single(rest)?
        } else {
            low
        };
        if high < low {
            return Err("has a range that runs backwards");
        }
        ranges.push((low, high));
    }
    if ranges.is_empty() {
        return Err("has an empty `[]`");
    }
    Ok(Token::Class { negated, ranges })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The meaning in its plainest form: each rule against the path and all its parents, the last match wins.
    fn excluded(rules: &IgnoreRules, path: &str) -> bool {
        let mut covered = rules.root();
        let mut excluded = false;
        let mut so_far = std::path::PathBuf::new();
        for part in path.split('/') {
            so_far.push(part);
            (excluded, covered) = rules.check(&so_far, &covered);
        }
        excluded
    }

    #[test]
    fn patterns_mean_what_docker_means() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            // (.dockerignore, left out, sent)
            ("*.log", &["a.log"], &["b/a.log", "a.logs"]),
            ("*/*.log", &["b/a.log"], &["a.log", "c/b/a.log"]),
            (
                "**/*.log",
                &["a.log", "b/a.log", "c/b/a.log"],
                &["a.log.txt"],
            ),
            (
                "node_modules",
                &["node_modules", "node_modules/a/b"],
                &["web/node_modules/a"],
            ),
            (
                "**/node_modules",
                &["node_modules/a", "web/node_modules/a/b"],
                &["node_modules2/a"],
            ),
            ("/foo", &["foo", "foo/a"], &["b/foo"]),
            ("foo/", &["foo", "foo/a"], &[]),
            ("./foo/../bar//x", &["bar/x"], &["foo/bar/x"]),
            ("temp?", &["tempa", "tempb/x"], &["temp", "tempab"]),
            ("a[b-d]e", &["abe", "ade"], &["aee", "ae"]),
            ("a[^b-d]e", &["aee", "axe"], &["abe"]),
            ("a\\*b", &["a*b"], &["axb"]),
            (
                "# not a rule\n#x\n \n\t\nx  \n",
                &["x"],
                &["# not a rule", "#x"],
            ),
            (" # spaced\n", &["# spaced"], &[]),
            ("\u{feff}x", &["x"], &["\u{feff}x"]),
            ("*.md\n!README.md", &["a.md"], &["README.md"]),
            (
                "*.md\n!README*.md\nREADME-secret.md",
                &["README-secret.md"],
                &["README-2.md"],
            ),
            ("!README.md\n*.md", &["README.md"], &[]),
            (
                "dir\n!dir/keep",
                &["dir/a"],
                &["dir/keep", "dir/keep/below"],
            ),
            (
                "*\n!src/**/*.py",
                &["a", "src/a.txt"],
                &["src/a.py", "src/b/c.py"],
            ),
            ("*\n! src", &["a"], &["src", "src/b"]),
            ("**", &["a", "a/b"], &[]),
            ("a/**", &["a/b", "a/b/c"], &["a", "ab"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b/c"], &["ab", "a/xb"]),
            ("a**b", &["ab", "a/b", "ax/b"], &["axb"]),
            ("**.go", &["x.go", "a/x.go", ".go"], &["x.goo"]),
            ("**/a?c", &["abc", "x/abc"], &["x/ac"]),
            (".", &[], &["a", ".a"]),
            ("/", &[], &["a"]),
            ("../x", &[], &["x"]),
            ("a.c", &["a.c"], &["abc"]),
            ("a+(b)|{c}$", &["a+(b)|{c}$"], &["aab"]),
            ("\u{fc}*", &["\u{fc}b"], &["u"]),
        ];
        for (text, out, sent) in cases {
            let rules = IgnoreRules::parse(text).unwrap();
            for path in *out {
                assert!(excluded(&rules, path), "{text:?} must leave out {path}");
            }
            for path in *sent {
                assert!(!excluded(&rules, path), "{text:?} must send {path}");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_pattern_is_named() {
        for (text, line) in [
            ("a\n!", 2),
            ("[a", 1),
            ("x\n\n[]", 3),
            ("a\\", 1),
            ("[z-a]", 1),
        ] {
            assert_eq!(IgnoreRules::parse(text).unwrap_err().line, line, "{text}");
        }
    }

    /// Whether a directory is looked into even if it is excluded.
    fn is_walked(rules: &IgnoreRules, directory: &str) -> bool {
        let mut covered = rules.root();
        let mut path = std::path::PathBuf::new();
        for name in Path::new(directory) {
            path.push(name);
            (_, covered) = rules.check(&path, &covered);
        }
        rules.may_bring_back_below(Path::new(directory), &covered)
    }

    #[test]
    fn an_excluded_directory_is_walked_only_where_a_rule_could_bring_something_back() {
        let rules = IgnoreRules::parse("*\n!src/app/*.py").unwrap();
        assert!(is_walked(&rules, "src"));
        assert!(is_walked(&rules, "src/app"));
        assert!(!is_walked(&rules, "node_modules"));
        let one_level = IgnoreRules::parse("*\n!*.md\n!LICENSE").unwrap();
        assert!(!is_walked(&one_level, "node_modules"));
        let anywhere = IgnoreRules::parse("*\n!**/keep").unwrap();
        assert!(is_walked(&anywhere, "node_modules/a"));
        let again = IgnoreRules::parse("*\n!src\n**/node_modules").unwrap();
        assert!(!is_walked(&again, "src/node_modules"));
    }

    /// Matches by trying everything: slow and obvious.
    fn slow(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', '*'] | ['*', '*', '/'] => true,
            ['*', '*', rest @ ..] => {
                let rest = rest.strip_prefix(&['/']).unwrap_or(rest);
                slow(rest, text)
                    || (0..text.len()).any(|at| text[at] == '/' && slow(rest, &text[at + 1..]))
            }
            ['*', rest @ ..] => {
                let name = text.iter().take_while(|c| **c != '/').count();
                (0..=name).any(|at| slow(rest, &text[at..]))
            }
            ['?', rest @ ..] => text.first().is_some_and(|c| *c != '/') && slow(rest, &text[1..]),
            [wanted, rest @ ..] => text.first() == Some(wanted) && slow(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_matcher_agrees_with_trying_everything(pattern in "[ab*?/]{1,9}", text in "[ab]{1,3}(/[ab]{1,3}){0,3}") {
            let cleaned = clean(&pattern);
            // `**name` has a meaning of its own, held by the table above.
            prop_assume!(!cleaned.is_empty());
            prop_assume!(!cleaned.starts_with("**") || cleaned.starts_with("**/"));
            let pattern: Vec<char> = cleaned.chars().collect();
            let path: Vec<char> = text.chars().collect();
            let rule = Rule::parse(&cleaned).unwrap().unwrap();
            prop_assert_eq!(matches(&rule.tokens, &path), slow(&pattern, &path));
        }

        #[test]
        fn nothing_that_is_sent_lies_below_a_pruned_directory(
            lines in proptest::collection::vec("!?[ab*/]{1,6}", 1..5),
            text in "[ab]{1,2}(/[ab]{1,2}){1,3}",
        ) {
            let Ok(rules) = IgnoreRules::parse(&lines.join("\n")) else { return Ok(()) };
            prop_assume!(!excluded(&rules, &text));
            for parent in Path::new(&text).ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
                let parent_excluded = excluded(&rules, &parent.to_string_lossy());
                prop_assert!(!parent_excluded || is_walked(&rules, &parent.to_string_lossy()));
            }
        }
    }
}
