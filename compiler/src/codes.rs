//! The codes of diagnostics. A code is never reused or renumbered; its explanation is the leading comment of its
//! fixture in `jobs/reject/`.

use crate::Severity;

macro_rules! codes {
    ($(#[doc = $doc:literal] $code:ident $name:literal,)*) => {
        /// A code of a diagnostic.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $doc] $code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The code as it is printed: `E0201`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* }
            }

            /// What it stands for, in one line without a full stop.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$code => $doc,)* }.trim().trim_end_matches('.')
            }

            /// The name of its fixture in `jobs/reject/`, without the ending.
            #[must_use]
            pub const fn fixture(self) -> &'static str {
                match self { $(Self::$code => concat!(stringify!($code), "_", $name),)* }
            }

            const fn fixture_text(self) -> &'static str {
                match self {
                    $(Self::$code => include_str!(
                        concat!("../../jobs/reject/", stringify!($code), "_", $name, ".yaml")
                    ),)*
                }
            }
        }
    };
}

codes! {
    /// The file is no YAML.
    E0001 "yaml_syntax",
    /// A key that does not exist.
    E0002 "unknown_key",
    /// A key that must be there is not.
    E0003 "missing_key",
    /// A list where a text is wanted, and the like.
    E0004 "wrong_shape",
    /// A word that is not one of those allowed.
    E0005 "not_one_of",
    /// A spelling of an RDI before 0.105.
    E0006 "older_spelling",
    /// A job that goes from a database to Redis.
    E0007 "ingest_job",
    /// `trigger: write-behind` is missing.
    E0008 "missing_trigger",
    /// A number outside its bounds.
    E0009 "number_out_of_bounds",
    // E0010 is retired: it told what an earlier version did not compile yet.
    /// A password that stands in the configuration in plain text.
    W0011 "plain_password",
    /// A transform or writer that does not exist.
    E0012 "unknown_block",
    /// A `foreach` that is not `name: expression`.
    E0013 "foreach_shape",
    /// A key that says nothing where it stands.
    W0014 "no_effect",
    /// An argument of a data type that is missing or unknown.
    E0015 "redis_arguments",
    /// A block with one field and a list of them.
    E0016 "both_forms",
    /// More columns or steps than there may be.
    E0017 "too_many",
    /// An expression that grows too large once the fields that it uses are put in.
    E0018 "too_large",
    /// A `${` that names no variable.
    E0019 "bad_variable",
    /// An empty list of hosts.
    E0020 "no_hosts",
    /// A key of the configuration that says something only to ingest.
    W0021 "ingest_only",
    /// A key that is replaced by a better one.
    W0022 "deprecated_key",
    /// A file for a secret that is not there.
    W0023 "secret_file",
    /// A path that does not parse.
    E0101 "bad_path",
    /// A key template that does not parse.
    E0102 "bad_key_template",
    /// An expression that does not parse.
    E0103 "expression_syntax",
    /// SQL that looks at more than one record.
    E0104 "not_one_record",
    /// A connection that the configuration does not have.
    E0201 "unknown_connection",
    /// A column that is written twice.
    E0202 "duplicate_column",
    /// An output without a key column.
    E0203 "no_keys",
    /// A field of `key` that the template does not have.
    E0204 "unknown_key_field",
    /// A key template that no key of the pattern has.
    W0205 "template_never_matches",
    /// Two jobs of one name.
    E0206 "duplicate_job",
    /// A function that does not exist.
    E0207 "unknown_function",
    /// A name that means nothing where it stands.
    E0208 "unknown_name",
    /// A collation that SQLite does not have.
    E0209 "unknown_collation",
    /// A field that a step took away.
    E0210 "field_gone",
    /// A field that is read before the step that sets it.
    W0211 "used_before_set",
    /// A connection of another type than the writer needs.
    E0212 "wrong_connection",
    /// A lookup by a command that is not known to only read.
    E0213 "not_a_read",
    /// A `parent` that is no column of the output.
    E0214 "unknown_parent",
    /// A field that a step sets and nothing reads.
    W0215 "unused_field",
    /// Two jobs that write the same column of one table.
    W0216 "written_by_two_jobs",
    /// Two jobs whose different key patterns have keys in common.
    W0217 "overlapping_patterns",
    /// A flush that takes rows of another job.
    W0218 "flush_takes_all",
    /// A flush that deletes nothing of what is written to Redis.
    W0219 "flush_leaves_redis",
    /// A key or a member in Redis that comes from a field that can change.
    W0220 "redis_name_can_change",
    /// A declared field whose values never fit the column.
    E0301 "type_never_fits",
    /// A key column that comes from a field that can change.
    W0302 "key_can_change",
    /// Too few or too many arguments.
    E0303 "wrong_arity",
    /// An argument that can never have the right type.
    E0304 "argument_type",
    /// A comparison of what is never comparable.
    E0305 "never_comparable",
    /// A constant expression that rejects every record.
    E0306 "always_rejected",
    /// A field of something that has no fields.
    W0307 "never_there",
    /// An expression whose values never fit the column.
    E0308 "expression_type",
    /// A text that SQL compares with a number.
    W0309 "text_read_as_number",
    /// SQL that compares what is never equal.
    W0310 "never_equal",
    /// A cast that rejects what is no number.
    W0311 "cast_may_reject",
    /// A part of a `concat` that is always null.
    W0312 "null_left_out",
    /// A comparison with a name in double quotes, which is a field and no text.
    W0313 "quoted_field",
    /// A filter that leaves rows of records behind that no longer pass.
    W0320 "filter_leaves_rows",
    /// A condition that is the same for every record.
    E0321 "constant_condition",
    /// A `map` whose result has no fields.
    E0322 "map_not_record",
    /// A `foreach` over what is never a list.
    E0323 "foreach_not_list",
    /// Rows of a list that nothing ties to their key.
    W0324 "children_not_tied",
    /// A `parent` column that is not the same for all elements.
    E0325 "parent_differs",
    /// Elements that all become the same row.
    E0326 "elements_share_row",
    /// A score that is never a number, a key or member that is never a text.
    E0327 "redis_value",
    /// A key that cannot tell records apart.
    W0328 "records_share_key",
    /// A table that the schema does not have.
    E0401 "unknown_table",
    /// A column that the table does not have.
    E0402 "unknown_column",
    /// `keys` without a unique index over exactly those columns.
    E0403 "keys_not_unique",
    /// A NOT NULL column without default that is not written.
    E0404 "required_column",
    /// A column that the target computes.
    E0405 "generated_column",
    /// DDL that does not parse.
    E0406 "ddl_syntax",
    /// A DDL file that cannot be read.
    E0407 "ddl_unreadable",
    /// A name that cannot be quoted.
    E0408 "name_not_quotable",
    /// A column whose type nothing tells.
    W0409 "unknown_type",
    /// A name that is longer than the target's names can be.
    E0410 "name_too_long",
    /// A load strategy that the target cannot do.
    E0411 "strategy_not_possible",
    /// An expression of the target's SQL that does not parse.
    E0412 "target_expression",
    /// A key of `TYPE2` with another strategy.
    E0413 "only_for_type2",
    /// A strategy that keeps several rows of a key, into a table that takes one.
    E0414 "one_row_per_key",
    /// An upsert that may update the row of another key.
    W0415 "upsert_by_any_index",
    /// A connection that does not tell its tables.
    E0416 "no_answer",
    /// Tables whose foreign keys go round in a circle.
    W0420 "cyclic_foreign_keys",
    /// An output that writes a child before the parent.
    W0421 "child_before_parent",
    /// A setting of Redis that loses change streams.
    W0430 "unsafe_setting",
}

impl Code {
    /// An error or a warning: the first letter of the code.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.name().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The code of this name, in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name().eq_ignore_ascii_case(name))
    }

    /// What `redis-wb explain` prints: the leading comment of the fixture.
    #[must_use]
    pub fn explanation(self) -> String {
        let comment = self.fixture_text().lines().map_while(|line| line.strip_prefix('#'));
        comment.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// The fixture behind its comment: the smallest input that has the mistake.
    #[must_use]
    pub fn example(self) -> &'static str {
        let text = self.fixture_text();
        let comment_bytes = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).map(str::len).sum();
        text.get(comment_bytes..).unwrap_or_default()
    }
}
