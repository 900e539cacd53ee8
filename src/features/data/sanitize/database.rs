//! Asks the databases of pods that work on copies, through their own clients.

use std::time::Duration;

use super::{super::words, scratch::Scratch};
use crate::adapters::kube::{NotRun, Ran};
use crate::domain::{DatabaseLogin, DatabaseRules, ExitClass, Failure, SqlClient};

/// A database that every server has, where no other is meant.
const ANY: &str = "template1";

/// How a database is entered.
pub(super) struct Login<'a> {
    pub(super) rules: &'a DatabaseRules,
}

impl Login<'_> {
    /// In the database of the rules.
    fn login(&self) -> DatabaseLogin {
        self.login_to(&self.rules.database.what)
    }

    fn login_to(&self, database: &str) -> DatabaseLogin {
        DatabaseLogin {
            client: SqlClient::Psql,
            user: self.rules.user.clone(),
            database: Some(connection(database)),
        }
    }

    fn user(&self) -> Option<String> {
        self.rules
            .user
            .as_ref()
            .map(|user| format!("--username={user}"))
    }

    /// The client that reads a script and says only what it answers; all or nothing.
    pub(super) fn changes(&self) -> Vec<String> {
        let mut words = self.script();
        words.push("--single-transaction".to_owned());
        words
    }

    /// The client that reads a script and says only what it answers.
    pub(super) fn script(&self) -> Vec<String> {
        let flags = ["--tuples-only", "--no-align", "--quiet", "--file=-"].map(str::to_owned);
        words::psql(&self.login())
            .into_iter()
            .chain(flags)
            .collect()
    }

    /// Writes out the database, as it is made anew. What belongs to no table, and what leads to other servers, is
    /// left out.
    pub(super) fn dump(&self) -> Vec<String> {
        let flags = [
            "pg_dump",
            "--create",
            "--clean",
            "--if-exists",
            // Large objects, by the only name that all versions know.
            "-B",
            "--no-publications",
            "--no-subscriptions",
            "--no-security-labels",
            "--no-tablespaces",
        ];
        let mut words: Vec<String> = flags.map(str::to_owned).to_vec();
        words.extend(self.user());
        words.push(format!(
            "--dbname={}",
            connection(&self.rules.database.what)
        ));
        words
    }

    /// Reads what [`Self::dump`] writes.
    pub(super) fn load(&self) -> Vec<String> {
        let flags = ["--quiet", "--file=-"].map(str::to_owned);
        words::psql(&self.login_to(ANY))
            .into_iter()
            .chain(flags)
            .collect()
    }

    /// Writes out the roles, without their passwords.
    pub(super) fn roles(&self) -> Vec<String> {
        let flags = ["pg_dumpall", "--roles-only", "--no-role-passwords"];
        let mut words: Vec<String> = flags.map(str::to_owned).to_vec();
        words.extend(self.user());
        words
    }

    /// Makes the roles that are not there.
    pub(super) async fn roles_into(
        &self,
        scratch: &Scratch<'_>,
        roles: String,
        within: Duration,
    ) -> Result<(), Failure> {
        let mut words = self.load();
        // Those that are there already are no mistake.
        words.push("--set=ON_ERROR_STOP=0".to_owned());
        self.ask(scratch, words, Some(roles.into_bytes()), within)
            .await?;
        Ok(())
    }

    /// The answer to a query in the database.
    pub(super) async fn query(
        &self,
        scratch: &Scratch<'_>,
        query: &str,
        within: Duration,
    ) -> Result<String, Failure> {
        let input = format!("{query};\n").into_bytes();
        let ran = self
            .ask(scratch, self.script(), Some(input), within)
            .await?;
        Ok(ran.out)
    }

    /// The answer to a query where it is not known which databases there are.
    pub(super) async fn query_any(
        &self,
        scratch: &Scratch<'_>,
        query: &str,
        within: Duration,
    ) -> Result<String, Failure> {
        let words = words::query(&self.login_to(ANY), query);
        Ok(self.ask(scratch, words, None, within).await?.out)
    }

    /// Runs a client; fails unless it ends well.
    pub(super) async fn ask(
        &self,
        scratch: &Scratch<'_>,
        words: Vec<String>,
        input: Option<Vec<u8>>,
        within: Duration,
    ) -> Result<Ran, Failure> {
        let program = words.first().cloned().unwrap_or_default();
        match scratch.run(words, input, within).await {
            Ok(ran) if ran.code == 0 => Ok(ran),
            Ok(ran) => {
                let why = format!("`{program}` ended with exit code {}", ran.code);
                let failure = refused(&why, &ran.last_lines);
                Err(failure.at(Some(self.rules.place.clone())))
            }
            Err(NotRun::Late) => Err(refused("it took too long", &[])),
            Err(NotRun::Failed(error)) => Err(error.failure()),
        }
    }
}

/// How the clients of PostgreSQL are told a database, whatever is in its name.
fn connection(database: &str) -> String {
    let name = database.replace('\\', "\\\\").replace('\'', "\\'");
    format!("dbname='{name}'")
}

/// What became of nothing.
pub(super) fn refused(why: &str, lines: &[String]) -> Failure {
    let what = "the data could not be sanitised; nothing was written".to_owned();
    let failure = Failure::new("sanitize.failed", ExitClass::Data, what).because(why);
    let failure =
        failure.help("mend the rules, or what they are about, and run the same command again");
    match lines {
        [] => failure,
        lines => failure.with_evidence("what it said", lines.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Located, Place};

    fn rules(database: &str) -> DatabaseRules {
        let place = Place {
            file: "rules.yaml".into(),
            line: 1,
            column: 1,
            length: 1,
            source_line: String::new(),
        };
        DatabaseRules {
            place: place.clone(),
            database: Located {
                what: database.to_owned(),
                place,
            },
            user: Some("shop".to_owned()),
            tables: Vec::new(),
        }
    }

    #[test]
    fn the_name_of_a_database_is_nothing_but_a_name() {
        let rules = rules("it's host=evil \\");
        let login = Login { rules: &rules };
        let wanted = "--dbname=dbname='it\\'s host=evil \\\\'".to_owned();
        assert!(login.dump().contains(&wanted), "{:?}", login.dump());
        assert!(login.changes().contains(&wanted));
    }

    #[test]
    fn a_dump_has_neither_large_objects_nor_what_leads_elsewhere_and_roles_have_no_passwords() {
        let rules = rules("shop");
        let login = Login { rules: &rules };
        for flag in ["-B", "--no-subscriptions", "--no-publications"] {
            assert!(login.dump().iter().any(|word| word == flag), "{flag}");
        }
        assert!(login.roles().contains(&"--no-role-passwords".to_owned()));
    }
}
