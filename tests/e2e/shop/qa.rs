//! What a QA engineer does in a day, three times over: it comes out the same.

use super::Shop;

/// How often.
const ROUNDS: usize = 3;
/// All that the dataset `large` fills, in one order.
const CONTENTS: &str = "select md5(string_agg(line, ',' order by line)) from (
    select users::text as line from users where id > 3 union all select orders::text from orders
    union all select order_items::text from order_items union all select stock::text from stock) as lines";

impl Shop {
    /// Known data, more pods, the tests, a snapshot, other data: the same rows and the same contents every time.
    pub(super) fn is_tested_the_same_way_every_time(&self) {
        let devenv = |words: &[&str]| self.project.devenv(words).assert_code(0);
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            devenv(&["data", "load", "--dataset", "checkout", "--yes"]);
            let sold = self.rows("orders");
            devenv(&["scale", "catalog=2"]);
            self.passes_its_own_tests();
            let tested = self.rows("orders");
            devenv(&["snapshot", "save", "tested"]);
            devenv(&["data", "load", "--dataset", "large", "--yes"]);
            let large = (self.rows("orders"), self.contents());
            devenv(&["data", "reset", "--to", "checkout", "--no-backup", "--yes"]);
            assert_eq!(self.rows("orders"), sold);
            devenv(&["snapshot", "restore", "tested", "--yes"]);
            assert_eq!(self.rows("orders"), tested);
            devenv(&["snapshot", "remove", "tested"]);
            devenv(&["scale", "catalog=1"]);
            rounds.push((sold, tested, large));
        }
        assert!(rounds.iter().all(|round| *round == rounds[0]), "{rounds:?}");
    }

    fn contents(&self) -> String {
        let sql = [
            "exec", "postgres", "--", "psql", "-U", "shop", "-Atc", CONTENTS,
        ];
        self.project.devenv(&sql).assert_code(0).stdout.clone()
    }
}
