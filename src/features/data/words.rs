//! The command lines by which the clients of databases load data and answer questions.

use std::fmt::Write as _;

use crate::domain::{CsvColumns, CsvLoad, DatabaseLogin, SqlClient};

/// Runs the statements that it reads, all or none where the database can; the first that fails ends it.
pub(super) fn statements(login: &DatabaseLogin) -> Vec<String> {
    match login.client {
        SqlClient::Psql => {
            let flags = ["--single-transaction", "--quiet", "--file=-"].map(str::to_owned);
            psql(login).into_iter().chain(flags).collect()
        }
        SqlClient::Mysql => mysql(login),
    }
}

/// Answers a query with its value alone.
pub(super) fn query(login: &DatabaseLogin, query: &str) -> Vec<String> {
    match login.client {
        SqlClient::Psql => {
            let flags = ["--tuples-only", "--no-align", "--quiet", "--command"];
            let flags = flags.map(str::to_owned).into_iter();
            psql(login)
                .into_iter()
                .chain(flags)
                .chain([query.to_owned()])
                .collect()
        }
        SqlClient::Mysql => {
            let flags = ["--skip-column-names", "--execute"].map(str::to_owned);
            mysql(login)
                .into_iter()
                .chain(flags)
                .chain([query.to_owned()])
                .collect()
        }
    }
}

/// Loads the rows that it reads, whose first line is `first`.
pub(super) fn rows(load: &CsvLoad, first: &str) -> Vec<String> {
    let columns: Vec<String> = match &load.columns {
        CsvColumns::Named(columns) => columns.clone(),
        CsvColumns::FirstLine => {
            let names = first
                .trim_end_matches(['\r', '\n'])
                .trim_start_matches('\u{feff}');
            let names = names.split(load.delimiter.as_char());
            names
                .map(|name| name.trim().trim_matches('"').to_owned())
                .collect()
        }
    };
    let has_heading = load.columns == CsvColumns::FirstLine;
    match load.database.client {
        SqlClient::Psql => {
            let columns = list(&columns, '"');
            let table = table(&load.table, '"');
            let delimiter = quoted(&load.delimiter.as_char().to_string());
            let copy = format!(
                "COPY {table} ({columns}) FROM STDIN WITH (FORMAT csv, HEADER {has_heading}, DELIMITER {delimiter})"
            );
            let flags = ["--quiet".to_owned(), "--command".to_owned(), copy];
            psql(&load.database).into_iter().chain(flags).collect()
        }
        SqlClient::Mysql => {
            let columns = list(&columns, '`');
            let table = table(&load.table, '`');
            let delimiter = quoted(&load.delimiter.as_char().to_string());
            let mut statement = format!(
                "LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table} CHARACTER SET utf8mb4 \
                 FIELDS TERMINATED BY {delimiter} OPTIONALLY ENCLOSED BY '\"' "
            );
            if has_heading {
                statement.push_str("IGNORE 1 LINES ");
            }
            let _ = write!(statement, "({columns})");
            let flags = [
                "--local-infile=1".to_owned(),
                "--execute".to_owned(),
                statement,
            ];
            mysql(&load.database).into_iter().chain(flags).collect()
        }
    }
}

pub(super) fn psql(login: &DatabaseLogin) -> Vec<String> {
    let mut words = vec!["psql".to_owned(), "--no-psqlrc".to_owned()];
    words.push("--set=ON_ERROR_STOP=1".to_owned());
    words.extend(login.user.iter().map(|user| format!("--username={user}")));
    words.extend(login.database.iter().map(|name| format!("--dbname={name}")));
    words
}

/// Runs `mysql` with the password that the service's environment has for a user, the first argument. The shell takes it
/// from one variable into another: it is in no argument, which every process of the machine could read.
const WITH_PASSWORD: &str = "case \"$1\" in \
     root) password=\"${MYSQL_ROOT_PASSWORD:-${MARIADB_ROOT_PASSWORD:-}}\" ;; \
     *) password=\"${MYSQL_PASSWORD:-${MARIADB_PASSWORD:-}}\" ;; \
     esac; \
     if [ -z \"${MYSQL_PWD:-}\" ] && [ -n \"$password\" ]; then export MYSQL_PWD=\"$password\"; fi; \
     shift; exec mysql \"$@\"";
/// Whom `mysql` takes the user for where none is named: the container's.
const MYSQL_USER: &str = "root";

/// The program of a command, as it is told.
pub(super) fn program(command: &[String]) -> &str {
    match command {
        [_, _, script, program, ..] if script == WITH_PASSWORD => program,
        [program, ..] => program,
        [] => "",
    }
}

fn mysql(login: &DatabaseLogin) -> Vec<String> {
    let user = login.user.as_deref().unwrap_or(MYSQL_USER);
    let mut words = ["sh", "-c", WITH_PASSWORD, "mysql", user, "--batch"]
        .map(str::to_owned)
        .to_vec();
    words.extend(login.user.iter().map(|user| format!("--user={user}")));
    words.extend(
        login
            .database
            .iter()
            .map(|name| format!("--database={name}")),
    );
    words
}

/// Names of columns, each quoted.
fn list(names: &[String], quote: char) -> String {
    let names: Vec<String> = names.iter().map(|name| name_in(name, quote)).collect();
    names.join(", ")
}

/// The name of a table, which may have its schema before it.
fn table(name: &str, quote: char) -> String {
    let parts: Vec<String> = name.split('.').map(|part| name_in(part, quote)).collect();
    parts.join(".")
}

fn name_in(name: &str, quote: char) -> String {
    let doubled = format!("{quote}{quote}");
    format!("{quote}{}{quote}", name.replace(quote, &doubled))
}

/// A text of SQL.
fn quoted(text: &str) -> String {
    match text {
        "\t" => "E'\\t'".to_owned(),
        "'" => "''''".to_owned(),
        other => format!("'{other}'"),
    }
}

/// What stands between the answers of `redis-cli` that tells which line is next.
pub(super) const REDIS_MARK: &str = "devenv-line:";

/// Carries out the commands that it reads, one a line; says before each which line it is.
pub(super) fn redis(commands: &str) -> (Vec<String>, String) {
    let words = ["redis-cli", "--no-raw"].map(str::to_owned);
    let mut script = String::new();
    for (number, line) in (1..).zip(commands.lines()) {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let _ = writeln!(script, "ECHO {REDIS_MARK}{number}\n{line}");
        }
    }
    (words.to_vec(), script)
}

/// The first error in the answers of `redis-cli`, with the line that it is of.
pub(super) fn redis_error(answers: &str) -> Option<(u32, String)> {
    let mut line = 0;
    for answer in answers.lines() {
        if let Some(number) = answer.trim_matches('"').strip_prefix(REDIS_MARK) {
            line = number.trim_end_matches('"').parse().unwrap_or(line);
        } else if let Some(error) = answer.strip_prefix("(error) ") {
            return Some((line, error.to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DataText, Delimiter};

    fn login(client: SqlClient) -> DatabaseLogin {
        DatabaseLogin {
            client,
            user: Some("shop".to_owned()),
            database: Some("shop".to_owned()),
        }
    }

    fn load(client: SqlClient, columns: CsvColumns, delimiter: &str) -> CsvLoad {
        CsvLoad {
            database: login(client),
            table: "public.or\"ders".to_owned(),
            columns,
            delimiter: delimiter.parse::<Delimiter>().unwrap(),
            rows: DataText::Inline(String::new()),
        }
    }

    #[test]
    fn statements_are_one_transaction_that_ends_with_its_first_error() {
        let words = statements(&login(SqlClient::Psql)).join(" ");
        for flag in ["ON_ERROR_STOP=1", "--single-transaction", "--username=shop"] {
            assert!(words.contains(flag), "{words}");
        }
    }

    #[test]
    fn names_are_quoted_and_the_first_line_is_columns_unless_they_are_named() {
        let by_heading = rows(
            &load(SqlClient::Psql, CsvColumns::FirstLine, ";"),
            "id;\"total\"\r\n",
        );
        let copy = by_heading.last().unwrap();
        assert_eq!(
            copy,
            "COPY \"public\".\"or\"\"ders\" (\"id\", \"total\") FROM STDIN \
             WITH (FORMAT csv, HEADER true, DELIMITER ';')"
        );
        let named = CsvColumns::Named(vec!["a".to_owned()]);
        let named = rows(&load(SqlClient::Psql, named, "\t"), "1");
        let copy = named.last().unwrap();
        assert!(
            copy.contains("(\"a\")") && copy.contains("HEADER false"),
            "{copy}"
        );
        assert!(copy.contains("DELIMITER E'\\t'"), "{copy}");
        let mysql = rows(&load(SqlClient::Mysql, CsvColumns::FirstLine, ","), "id");
        let statement = mysql.last().unwrap();
        assert!(statement.contains("IGNORE 1 LINES (`id`)"), "{statement}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the shell is what is tried")]
    fn mysql_gets_the_password_of_its_user_from_the_environment_and_from_nowhere_else() {
        use std::os::unix::fs::PermissionsExt as _;
        let bin = tempfile::tempdir().unwrap();
        let client = bin.path().join("mysql");
        crate::adapters::files::write_shared(&client, b"#!/bin/sh\necho \"$MYSQL_PWD $*\"\n")
            .unwrap();
        std::fs::set_permissions(&client, std::fs::Permissions::from_mode(0o755)).unwrap();
        let run = |user: Option<&str>, variables: &[(&str, &str)]| {
            let login = DatabaseLogin {
                user: user.map(str::to_owned),
                ..login(SqlClient::Mysql)
            };
            let words = query(&login, "select 1");
            assert!(
                !words.iter().any(|word| word.contains("secret")),
                "{words:?}"
            );
            assert_eq!(program(&words), "mysql");
            let ran = std::process::Command::new(&words[0])
                .args(&words[1..])
                .env_clear()
                .env("PATH", format!("{}:/usr/bin:/bin", bin.path().display()))
                .envs(variables.iter().copied())
                .output()
                .unwrap();
            String::from_utf8(ran.stdout).unwrap()
        };
        let official = [
            ("MYSQL_ROOT_PASSWORD", "secret r"),
            ("MYSQL_PASSWORD", "secret s"),
        ];
        let said = run(Some("shop"), &official);
        let rest = "--database=shop --skip-column-names --execute select 1\n";
        assert_eq!(said, format!("secret s --batch --user=shop {rest}"));
        assert_eq!(run(None, &official), format!("secret r --batch {rest}"));
        let own = [("MYSQL_PWD", "secret own"), official[0]];
        assert_eq!(
            run(Some("root"), &own),
            format!("secret own --batch --user=root {rest}")
        );
        let mariadb = [("MARIADB_ROOT_PASSWORD", "secret m")];
        assert_eq!(
            run(Some("root"), &mariadb),
            format!("secret m --batch --user=root {rest}")
        );
        assert_eq!(run(None, &[]), format!(" --batch {rest}"));
    }

    #[test]
    fn an_error_of_redis_is_told_with_its_line() {
        let (_, script) = redis("SET a 1\n# a comment\n\nINCR a b\n");
        assert_eq!(
            script,
            "ECHO devenv-line:1\nSET a 1\nECHO devenv-line:4\nINCR a b\n"
        );
        let answers = "\"devenv-line:1\"\nOK\n\"devenv-line:4\"\n(error) ERR wrong number\n";
        let error = redis_error(answers);
        assert_eq!(error, Some((4, "ERR wrong number".to_owned())));
        assert_eq!(redis_error("\"devenv-line:1\"\nOK\n"), None);
    }
}
