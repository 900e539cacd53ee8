//! What is a secret by the name that it has, or by the form in which it is written.

use serde_json::Value;

/// What is shown instead of a secret.
pub const REDACTED: &str = "[redacted]";

/// Words that name secrets.
const SECRETS: [&str; 12] = [
    "pass",
    "pw",
    "pwd",
    "secret",
    "secrets",
    "credential",
    "credentials",
    "requirepass",
    "password",
    "passwd",
    "passphrase",
    "token",
];
/// Ends of words that name secrets: `PGPASSWORD`, `jwtsecret`.
const ENDS: [&str; 4] = ["password", "passwd", "secret", "token"];
/// Words that name secrets together with the `key` behind them.
const KEYS: [&str; 8] = [
    "api",
    "access",
    "private",
    "secret",
    "signing",
    "encryption",
    "auth",
    "master",
];
/// What one of is in every word above.
const ROOTS: [&[u8]; 6] = [b"pass", b"pw", b"secret", b"token", b"credential", b"key"];
/// Values that are switches whatever the name says, as in `ALLOW_EMPTY_PASSWORD=yes`.
const SWITCHES: [&str; 8] = ["yes", "no", "true", "false", "on", "off", "0", "1"];
/// Last words of names that tell of a secret what is none: where it is, what it is called, how long it lasts.
const ABOUT: [&str; 16] = [
    "file",
    "path",
    "dir",
    "name",
    "ref",
    "id",
    "ttl",
    "expiry",
    "expires",
    "lifetime",
    "length",
    "size",
    "type",
    "algorithm",
    "encryption",
    "enabled",
];

/// Whether a variable, flag or key of this name holds a secret, as `POSTGRES_PASSWORD`, `--api-key` and `clientSecret` do,
/// and `POSTGRES_PASSWORD_FILE` and `secretName` do not.
pub fn names_a_secret(name: &str) -> bool {
    has_a_root(name) && is_named_secret(name)
}

/// Whether any part of a name may be a word that names secrets: most names have none, and there are many.
fn has_a_root(name: &str) -> bool {
    let is_in = |root: &[u8]| {
        let mut parts = name.as_bytes().windows(root.len());
        parts.any(|part| part.eq_ignore_ascii_case(root))
    };
    ROOTS.into_iter().any(is_in)
}

fn is_named_secret(name: &str) -> bool {
    let words = words(name);
    let is_secret = |word: &String| {
        SECRETS.contains(&word.as_str())
            || ENDS.iter().any(|end| word.ends_with(end))
            || KEYS.iter().any(|of| *word == format!("{of}key"))
    };
    let is_key = |pair: &[String]| KEYS.contains(&pair[0].as_str()) && pair[1] == "key";
    let is_about = |word: &String| ABOUT.contains(&word.as_str());
    let is_named = words.iter().any(is_secret) || words.windows(2).any(is_key);
    // The manifest's own key for files of them.
    let is_list = words == ["secrets"];
    is_named && !is_list && !words.last().is_some_and(is_about)
}

/// Whether the value of a name is a secret, by the name or as it is a URL with a password.
pub fn is_secret(name: &str, value: &str) -> bool {
    names_a_secret(name) && !is_switch(value) || password_of_url(value, 0).is_some()
}

fn is_switch(value: &str) -> bool {
    value.is_empty() || SWITCHES.contains(&&*value.to_ascii_lowercase())
}

/// The words of a name in lower case, parted by signs and by capitals.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_apart, mut was_lower) = (true, false);
    for letter in name.chars() {
        if !letter.is_alphanumeric() {
            is_apart = true;
            continue;
        }
        if is_apart || (was_lower && letter.is_uppercase()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(letter.to_lowercase());
        }
        (is_apart, was_lower) = (false, letter.is_lowercase());
    }
    words
}

/// Puts [`REDACTED`] in the place of all secrets: values of keys that name them, flags of commands, and passwords in URLs.
/// Returns what was there.
pub fn conceal(value: &mut Value) -> Vec<String> {
    let mut found = Vec::new();
    conceal_in(value, &mut found);
    found
}

fn conceal_in(value: &mut Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            // A variable as Kubernetes writes it: `{ name: PASSWORD, value: ... }`.
            let variable = fields.get("name").and_then(Value::as_str);
            let is_secret = fields.contains_key("value") && variable.is_some_and(names_a_secret);
            let variable = variable.filter(|_| is_secret).map(str::to_owned);
            for (name, field) in fields {
                match &variable {
                    Some(variable) if name == "value" => conceal_field(variable, field, found),
                    _ => conceal_field(name, field, found),
                }
            }
        }
        Value::Array(items) => conceal_items(items, found),
        Value::String(text) => conceal_text(text, found),
        _ => {}
    }
}

/// The same for a value with a name.
pub fn conceal_named(name: &str, value: &mut Value) -> Vec<String> {
    let mut found = Vec::new();
    conceal_field(name, value, &mut found);
    found
}

fn conceal_field(name: &str, value: &mut Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if names_a_secret(name) => replace(text, found),
        Value::Number(number) if names_a_secret(name) && !is_switch(&number.to_string()) => {
            found.push(number.to_string());
            *value = REDACTED.into();
        }
        _ => conceal_in(value, found),
    }
}

/// What stands behind a flag that names a secret.
fn conceal_items(items: &mut [Value], found: &mut Vec<String>) {
    let mut is_next = false;
    for item in items {
        let Value::String(text) = item else {
            is_next = false;
            conceal_in(item, found);
            continue;
        };
        if is_next {
            is_next = false;
            replace(text, found);
            continue;
        }
        match text.split_once('=') {
            Some((name, secret)) if names_a_secret(name) && !is_switch(secret) => {
                found.push(secret.to_owned());
                *text = format!("{name}={REDACTED}");
            }
            _ => {
                is_next = text.starts_with('-') && names_a_secret(text);
                conceal_text(text, found);
            }
        }
    }
}

fn replace(text: &mut String, found: &mut Vec<String>) {
    if !is_switch(text) {
        found.push(std::mem::replace(text, REDACTED.to_owned()));
    }
}

/// Passwords in the URLs of a text.
fn conceal_text(text: &mut String, found: &mut Vec<String>) {
    let mut from = 0;
    while let Some((start, end)) = password_of_url(text, from) {
        found.push(text[start..end].to_owned());
        text.replace_range(start..end, REDACTED);
        from = start + REDACTED.len();
    }
}

/// Where in a text the password of the first URL behind an offset is, in bytes.
fn password_of_url(text: &str, from: usize) -> Option<(usize, usize)> {
    let mut from = from;
    loop {
        let begin = from + text.get(from..)?.find("://")? + 3;
        let rest = &text[begin..];
        let end = rest.find(|letter: char| letter.is_whitespace() || "/?#\"'".contains(letter));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let user = authority.rfind('@').map(|at| &authority[..at]);
        if let Some((name, password)) = user.and_then(|user| user.split_once(':'))
            && !password.is_empty()
        {
            let start = begin + name.len() + 1;
            return Some((start, start + password.len()));
        }
        from = begin;
    }
}

/// The words of a command line without secrets: `TOKEN=...`, `--set a.b.PASSWORD=...`, what stands behind `--password`,
/// passwords in URLs. Rather too much is taken away than too little.
pub fn without_secrets(words: &[String]) -> Vec<String> {
    let mut is_next = false;
    let word = |word: &String| {
        if std::mem::take(&mut is_next) && !word.starts_with('-') {
            return REDACTED.to_owned();
        }
        is_next = word.starts_with("--") && !word.contains('=') && names_a_secret(word);
        let mut word = without_assigned(word);
        conceal_text(&mut word, &mut Vec::new());
        word
    };
    words.iter().map(word).collect()
}

/// A word without what follows `PASSWORD=`, and `password: ` as in YAML; `token:1.0` is an image.
fn without_assigned(word: &str) -> String {
    let assigned = word.match_indices(['=', ':']).find(|(at, sign)| {
        let (before, value) = (&word[..*at], &word[at + 1..]);
        let is_assigned = *sign == "=" || value.starts_with(char::is_whitespace);
        // Services may be named as secrets are: the last name of a key counts.
        let before = before.trim_end_matches(['"', '\'']);
        let is_part = |letter: char| letter.is_alphanumeric() || "-_".contains(letter);
        let name = before.rsplit(|letter| !is_part(letter)).next();
        is_assigned && !is_switch(value.trim()) && names_a_secret(name.unwrap_or_default())
    });
    match assigned {
        Some((at, sign)) => {
            let space = if sign == ":" { " " } else { "" };
            format!("{}{sign}{space}{REDACTED}", &word[..at])
        }
        None => word.to_owned(),
    }
}

/// A line of a file with `*` for every letter of its secrets, so that columns stay where they are.
pub fn conceal_line(line: &str) -> String {
    let mut concealed = line.to_owned();
    let mut from = 0;
    while let Some((start, end)) = secret_of_line(&concealed, from) {
        let stars = "*".repeat(concealed[start..end].chars().count());
        concealed.replace_range(start..end, &stars);
        from = start + stars.len();
    }
    from = 0;
    while let Some((start, end)) = password_of_url(&concealed, from) {
        let stars = "*".repeat(concealed[start..end].chars().count());
        concealed.replace_range(start..end, &stars);
        from = start + stars.len();
    }
    concealed
}

/// Where in a line of YAML or of variables the value of the first name of a secret behind an offset is, in bytes.
fn secret_of_line(line: &str, from: usize) -> Option<(usize, usize)> {
    let mut from = from;
    loop {
        let sign = from + line.get(from..)?.find([':', '='])?;
        let name = line[..sign].rsplit(|it: char| it.is_whitespace() || "{,[".contains(it));
        let name = name.into_iter().next().unwrap_or_default();
        let name = name.trim_matches(['"', '\'']);
        from = sign + 1;
        if !names_a_secret(name) {
            continue;
        }
        let value = line[from..].trim_start();
        let start = line.len() - value.len();
        let end = match value.chars().next() {
            // Comments, other files, and what follows on the next lines.
            None | Some('#' | '{' | '[' | '|' | '>') => continue,
            Some(quote @ ('"' | '\'')) => value[1..].find(quote).map(|end| end + 2),
            Some(_) => value.find([',', '}', ']']).or_else(|| value.find(" #")),
        };
        return Some((start, start + end.unwrap_or(value.trim_end().len())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_variable_as_kubernetes_writes_it_is_told_by_its_name() {
        let mut container = json!({ "env": [
            { "name": "DB_PASSWORD", "value": "hidden" },
            { "name": "COLOUR", "value": "red" },
        ] });
        assert_eq!(conceal(&mut container), ["hidden"]);
        assert_eq!(container["env"][0]["value"], REDACTED);
        assert_eq!(container["env"][1]["value"], "red");
    }

    #[test]
    fn names_tell_secrets_from_what_is_about_them() {
        for name in [
            "PASSWORD",
            "POSTGRES_PASSWORD",
            "PGPASSWORD",
            "MYSQL_PWD",
            "clientSecret",
            "JWT_SECRET",
            "jwtsecret",
            "github-token",
            "API_KEY",
            "apiKey",
            "APIKEY",
            "AWS_SECRET_ACCESS_KEY",
            "--requirepass",
            "--private-key",
            "db.password",
            "MYSQL_ROOT_PASSWORD",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in [
            "POSTGRES_PASSWORD_FILE",
            "secretName",
            "TOKEN_TTL",
            "MAX_TOKENS",
            "secrets",
            "key",
            "KEYBOARD",
            "PRIMARY_KEY",
            "COMPASS",
            "POSTGRES_USER",
            "image",
            "",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn every_word_has_a_root() {
        let keys = KEYS.map(|key| format!("{key}_key"));
        let words = SECRETS.into_iter().chain(ENDS);
        for word in words.map(str::to_owned).chain(keys) {
            assert!(
                has_a_root(&word.to_uppercase()) && names_a_secret(&format!("x_{word}")),
                "{word}"
            );
        }
    }

    #[test]
    fn a_value_is_a_secret_by_its_name_or_by_a_password_in_a_url() {
        for (name, value) in [("PASSWORD", "x"), ("DATABASE_URL", "postgres://a:b@db/x")] {
            assert!(is_secret(name, value), "{name}");
        }
        for (name, value) in [
            ("ALLOW_EMPTY_PASSWORD", "yes"),
            ("PASSWORD_FILE", "/run/x"),
            ("DATABASE_URL", "postgres://db:5432/x"),
            ("DB_PASSWORD", ""),
            ("URL", "http://a@b/c:d@e"),
        ] {
            assert!(!is_secret(name, value), "{name}");
        }
    }

    #[test]
    fn secrets_are_found_by_names_flags_and_urls_and_nothing_else_changes() {
        let mut value = json!({
            "env": { "PASSWORD": "hunter2", "PIN_TOKEN": 1234, "LEVEL": "debug", "EMPTY_SECRET": "", "ALLOW_EMPTY_PASSWORD": "yes" },
            "command": ["redis", "--requirepass", "hunter3", "--token=abc", "--port", "1", "PASSWORD=x y"],
            "url": "postgres://shop:hunter4@db/shop and redis://:hunter5@cache:6379",
            "plain": "http://db:5432/a:b@c, a@b",
            "secrets": ["./secrets.env"],
        });
        let found = conceal(&mut value);
        assert_eq!(
            value,
            json!({
                "env": { "PASSWORD": REDACTED, "PIN_TOKEN": REDACTED, "LEVEL": "debug", "EMPTY_SECRET": "", "ALLOW_EMPTY_PASSWORD": "yes" },
                "command": ["redis", "--requirepass", REDACTED, "--token=[redacted]", "--port", "1", "PASSWORD=[redacted]"],
                "url": "postgres://shop:[redacted]@db/shop and redis://:[redacted]@cache:6379",
                "plain": "http://db:5432/a:b@c, a@b",
                "secrets": ["./secrets.env"],
            })
        );
        let mut expected = [
            "hunter2", "1234", "hunter3", "abc", "x y", "hunter4", "hunter5",
        ];
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_typed_keeps_its_names_and_loses_its_secrets() {
        for (typed, kept) in [
            ("up order --timeout 5m", "up order --timeout 5m"),
            (
                "up --set services.order.env.DB_PASSWORD=hunter2=x",
                "up --set services.order.env.DB_PASSWORD=[redacted]",
            ),
            (
                "up --set=services.order.env={TOKEN:\tabc,A:\tb}",
                "up --set=services.order.env={TOKEN: [redacted]",
            ),
            (
                "exec db -- psql --password hunter2 -c x",
                "exec db -- psql --password [redacted] -c x",
            ),
            (
                "exec db -- sh -c PGPASSWORD=hunter2\tpsql",
                "exec db -- sh -c PGPASSWORD=[redacted]",
            ),
            (
                "exec db psql postgres://a:b@db/x?y=1",
                "exec db psql postgres://a:[redacted]@db/x?y=1",
            ),
            (
                "config set services.token.image=token:1.0 services.token.replicas=2",
                "config set services.token.image=token:1.0 services.token.replicas=2",
            ),
        ] {
            let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
            assert_eq!(without_secrets(&words).join(" "), kept);
        }
    }

    #[test]
    fn columns_of_a_line_stay_where_they_are() {
        for (line, concealed) in [
            ("  PASSWORD: hunter2 # mine", "  PASSWORD: ******* # mine"),
            (
                "env: { TOKEN: \"a b\", LEVEL: [x] }",
                "env: { TOKEN: *****, LEVEL: [x] }",
            ),
            ("export API_KEY=häh", "export API_KEY=***"),
            (
                "  url: redis://:geheim@cache",
                "  url: redis://:******@cache",
            ),
            ("secrets: [./a.env]", "secrets: [./a.env]"),
            ("token:", "token:"),
            ("plain: text: more", "plain: text: more"),
        ] {
            assert_eq!(conceal_line(line), concealed);
            assert_eq!(line.chars().count(), concealed.chars().count());
        }
    }
}
