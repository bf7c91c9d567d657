//! Which type the keys of a job have, where it does not say so: hashes, unless it reads what no hash has.

use redis_wb_plan::plan::DataType;

use crate::ast::{Expression, From, Job, MapBody, Mapping, Path, Step};

/// The type that the job says, else hash where all that it reads is flat; `None` where it reads into fields, so that
/// the keys must hold documents of some kind.
pub(super) fn of(job: &Job) -> Option<DataType> {
    job.source.data_type.or_else(|| (!reads_into_fields(job)).then_some(DataType::Hash))
}

fn reads_into_fields(job: &Job) -> bool {
    let is_deep = |path: &Path| depth(job, &path.names) > 1;
    let columns = |columns: &[Mapping]| {
        columns.iter().any(|column| match &column.from {
            From::Path(path) => is_deep(path),
            From::Expression(expression) => is_structured(expression),
        })
    };
    job.outputs.iter().any(|output| output.foreach.is_some() || columns(&output.keys) || columns(&output.mapping))
        || job.redis.iter().any(|write| columns(&write.mapping))
        || job.source.fields.iter().any(|(path, _)| is_deep(path))
        || job.source.exclude_commands.iter().any(|command| command.starts_with("json."))
        || job.transform.iter().any(|step| match step {
            Step::Add { expression, .. } => expression.as_ref().is_some_and(is_structured),
            Step::Map { body: MapBody::Expression(expression), .. } | Step::Filter { expression, .. } => {
                is_structured(expression)
            }
            Step::Map { body: MapBody::Fields(fields), .. } => fields.iter().any(|(_, field)| is_structured(field)),
            Step::Rename { from: path, .. } | Step::Remove { field: path } => is_deep(path),
            Step::Lookup(lookup) => lookup.args.iter().any(is_structured),
            Step::Unknown => false,
        })
}

/// How many names of a path lead into the content; fields that steps add are counted too, which errs on the safe side.
fn depth(job: &Job, names: &[String]) -> usize {
    let is_part = |name: &String| matches!(name.as_str(), "key" | "before" | "after");
    let skipped = usize::from((job.source.full || job.source.key.is_some()) && names.first().is_some_and(is_part));
    names.len() - skipped
}

/// Whether an expression reads fields of a field, or elements of one.
fn is_structured(expression: &Expression) -> bool {
    let mut word = String::new();
    let mut quote = None;
    let mut follows_word = false;
    for char in expression.text.chars() {
        if let Some(end) = quote {
            quote = (char != end).then_some(end);
            continue;
        }
        match char {
            '\'' => quote = Some(char),
            '.' if matches!(word.as_str(), "key" | "before" | "after") => follows_word = false,
            '.' | '[' if follows_word => return true,
            _ => follows_word = char.is_alphabetic() || char == '_' || (follows_word && char.is_ascii_digit()),
        }
        if char.is_alphanumeric() || char == '_' { word.push(char) } else { word.clear() }
    }
    expression.text.contains("->")
}
