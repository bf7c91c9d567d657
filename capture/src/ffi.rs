//! Everything `unsafe`: Redis's module API as safe functions, and the callbacks that Redis calls.
//! It must not know what a rule or a record is: it hands bytes to `capture` and `commands` and back.
//!
//! What makes it sound:
//!
//! INVARIANT (one thread at a time): Redis calls a module's callbacks under its global lock, on whichever thread holds
//! it: the main thread, or one of a module that writes between `ThreadSafeContextLock` and its unlock. This module
//! starts none. A child that saves is a process of its own, and its only thread comes from one that held the lock. The
//! exception is a crash report, which asks for INFO without it: `capture::with` tries its lock and never waits.
//! INVARIANT (live pointers): a raw pointer from Redis stays inside the callback that brought it. The compiler sees to
//! it: a callback lends its [`Context`], [`Storage`], [`Info`] by reference and for its own time, only this file makes
//! one, and none is `Clone` or `Send`; a [`Key`] and a [`Reply`] borrow from the context that opened or called, and
//! every slice of their bytes borrows from them.
//! INVARIANT (bound functions): the function pointers of `redis_module::raw` are written once, by `start` through
//! `Export_RedisModule_Init`, before any callback is registered, and only read from then on. One that this
//! Redis lacks is `None`: [`complete`] refuses to load then, so [`call`] always finds its function.
//! INVARIANT (no unwinding): no panic may leave a callback; Rust aborts the process where one would.
#![expect(unsafe_code, reason = "the one file that talks to Redis's C API")]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_longlong, c_uint, c_void};
use std::marker::PhantomData;
use std::{ptr, slice};

use redis_module::raw;
use redis_wb_record::{ORDER_FIELD, STREAM_FIELD};

use crate::capture::{self, Happening};
use crate::commands::{self, Answer};
use crate::pending::How;

/// Calls a function of the module API; `None` where this Redis lacks it.
macro_rules! call {
    ($function:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: (bound functions) the pointer is not written any more; (live pointers) every argument that is a
        // pointer belongs to the callback that runs, or to a value that is borrowed for the call.
        unsafe { raw::$function.map(|function| function($($argument),*)) }
    };
}

/// The name of the module: what its INFO fields and its section begin with.
const MODULE_NAME: &CStr = c"wb";
/// The name of the data type that carries the rules in an RDB file: nine characters, for ever.
const TYPE_NAME: &CStr = c"wb--rules";
const TYPE_ENCODING: c_int = 2;
const OK: c_int = 0;
const ERR: c_int = 1;

/// Any context that Redis gives.
pub(crate) struct Context(*mut raw::RedisModuleCtx);

/// What a server does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing(c_int);

impl Standing {
    fn has(self, flag: u32) -> bool {
        c_int::try_from(flag).is_ok_and(|flag| self.0 & flag != 0)
    }

    /// Whether changes are made here, and not repeated from a primary or from disk.
    pub(crate) fn captures(self) -> bool {
        self.has(raw::REDISMODULE_CTX_FLAGS_MASTER) && !self.has(raw::REDISMODULE_CTX_FLAGS_LOADING)
    }

    /// Whether the command that runs comes from a primary or from disk.
    pub(crate) fn repeats(self) -> bool {
        self.has(raw::REDISMODULE_CTX_FLAGS_REPLICATED) || self.has(raw::REDISMODULE_CTX_FLAGS_LOADING)
    }

    /// Whether the server is part of a Redis Cluster.
    pub(crate) fn clustered(self) -> bool {
        self.has(raw::REDISMODULE_CTX_FLAGS_CLUSTER)
    }
}

impl Context {
    /// What the server does at the moment.
    pub(crate) fn standing(&self) -> Standing {
        Standing(call!(RedisModule_GetContextFlags(self.0)).unwrap_or_default())
    }

    /// Whether the server has a database of this number.
    pub(crate) fn has_db(&self, db: u32) -> bool {
        let selected = self.db();
        let has = self.select(db);
        self.select(selected);
        has
    }

    /// The database that is selected.
    pub(crate) fn db(&self) -> u32 {
        let db = call!(RedisModule_GetSelectedDb(self.0)).unwrap_or_default();
        u32::try_from(db).unwrap_or_default()
    }

    /// Selects the database of all that follows; whether the server has it.
    pub(crate) fn select(&self, db: u32) -> bool {
        c_int::try_from(db).is_ok_and(|db| call!(RedisModule_SelectDb(self.0, db)) == Some(OK))
    }

    /// Opens a key to read it: without a trace in its idle time, in statistics and events, and without expiring it.
    pub(crate) fn open(&self, key: &[u8]) -> Option<Key<'_>> {
        const MODE: u32 = raw::REDISMODULE_READ
            | raw::REDISMODULE_OPEN_KEY_NOTOUCH
            | raw::REDISMODULE_OPEN_KEY_NONOTIFY
            | raw::REDISMODULE_OPEN_KEY_NOSTATS
            | raw::REDISMODULE_OPEN_KEY_NOEXPIRE;
        let name = Text::new(key)?;
        let key = call!(RedisModule_OpenKey(self.0, name.0, c_int::try_from(MODE).unwrap_or_default()))?;
        (!key.is_null()).then_some(Key { raw: key, owned: true, opened_by: PhantomData })
    }

    /// A key that Redis opened, and closes after the callback.
    fn borrowed_key(&self, raw: *mut raw::RedisModuleKey) -> Key<'_> {
        Key { raw, owned: false, opened_by: PhantomData }
    }

    /// Appends a record to a stream, with its order if it has one, as part of the execution unit that runs, so that it
    /// reaches replicas and the AOF in one MULTI with the write. Gives the entry's id. Without the flags `M` and `S`:
    /// what goes through must not depend on memory or on a script once the write did. `id` is as `XADD` takes it.
    pub(crate) fn append(
        &self,
        stream: &[u8],
        id: &CStr,
        record: &[u8],
        order: Option<&[u8]>,
    ) -> Result<Reply<'_>, String> {
        let part = |bytes: &[u8]| (bytes.as_ptr().cast::<c_char>(), bytes.len());
        let (stream, record, field) = (part(stream), part(record), part(STREAM_FIELD.as_bytes()));
        let (xadd, id) = (c"XADD".as_ptr(), id.as_ptr());
        let reply = if let Some(order) = order.map(part) {
            let (name, format) = (part(ORDER_FIELD.as_bytes()), c"!Ebcbbbb".as_ptr());
            call!(RedisModule_Call(
                self.0, xadd, format, stream.0, stream.1, id, field.0, field.1, record.0, record.1, name.0, name.1,
                order.0, order.1,
            ))
        } else {
            let format = c"!Ebcbb".as_ptr();
            call!(RedisModule_Call(self.0, xadd, format, stream.0, stream.1, id, field.0, field.1, record.0, record.1))
        };
        Reply::new(self, reply).into_result()
    }

    /// What `CLUSTER` says of a subject.
    pub(crate) fn cluster(&self, subject: &CStr) -> Result<Reply<'_>, String> {
        let reply = call!(RedisModule_Call(self.0, c"CLUSTER".as_ptr(), c"Ec".as_ptr(), subject.as_ptr()));
        Reply::new(self, reply).into_result()
    }

    /// Whether this server would let a client read a key: not one whose slot went to another server.
    pub(crate) fn serves(&self, key: &[u8]) -> bool {
        let key = (key.as_ptr().cast::<c_char>(), key.len());
        // Checked, and not carried out: there is a reply only if it is an error.
        let reply = call!(RedisModule_Call(self.0, c"TYPE".as_ptr(), c"DEb".as_ptr(), key.0, key.1));
        Reply::new(self, reply).whole().is_none()
    }

    /// A short text that hashes to a slot.
    pub(crate) fn tag(&self, slot: u16) -> Option<Vec<u8>> {
        let name = call!(RedisModule_ClusterCanonicalKeyNameInSlot(c_uint::from(slot)))?;
        // SAFETY: (live pointers) Redis gives a C string that is never freed.
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }.to_bytes().to_vec())
    }

    /// Tells replicas and the AOF which tag the streams have, and which they had before.
    pub(crate) fn replicate_tag(&self, tag: &[u8], before: &[u8]) {
        let (tag, before) =
            ((tag.as_ptr().cast::<c_char>(), tag.len()), (before.as_ptr().cast::<c_char>(), before.len()));
        call!(RedisModule_Replicate(self.0, c"WB.TAG".as_ptr(), c"bb".as_ptr(), tag.0, tag.1, before.0, before.1));
    }

    /// The text of a RedisJSON document; an error where the key holds something else, or the module is missing.
    pub(crate) fn json(&self, key: &[u8]) -> Result<Reply<'_>, String> {
        let key = (key.as_ptr().cast::<c_char>(), key.len());
        let reply = call!(RedisModule_Call(self.0, c"JSON.GET".as_ptr(), c"Eb".as_ptr(), key.0, key.1));
        Reply::new(self, reply).into_result()
    }

    /// The sum of the lengths that a command of RedisJSON gives of what a path leads to; what has none counts nothing.
    pub(crate) fn lengths(&self, command: &CStr, key: &[u8], path: &[u8]) -> Result<u64, String> {
        let (key, path) = ((key.as_ptr().cast::<c_char>(), key.len()), (path.as_ptr().cast::<c_char>(), path.len()));
        let words = (command.as_ptr(), c"Ebb".as_ptr());
        let reply = call!(RedisModule_Call(self.0, words.0, words.1, key.0, key.1, path.0, path.1));
        let reply = Reply::new(self, reply).into_result()?;
        Ok(reply.whole().map_or(0, |all| all.parts().map(Part::number).sum()))
    }

    /// How many bytes of memory a key takes.
    pub(crate) fn memory(&self, key: &[u8]) -> Result<u64, String> {
        let (format, name) = (c"Ecb".as_ptr(), key.as_ptr().cast::<c_char>());
        let reply = call!(RedisModule_Call(self.0, c"MEMORY".as_ptr(), format, c"USAGE".as_ptr(), name, key.len()));
        let reply = Reply::new(self, reply).into_result()?;
        Ok(reply.whole().map_or(0, Part::number))
    }

    /// Some keys of the selected database that match a pattern, and the cursor that goes on from there: what SCAN
    /// replies. It looks at about `count` keys.
    pub(crate) fn scan(&self, cursor: &[u8], pattern: &[u8], count: u64) -> Result<Reply<'_>, String> {
        let reply = call!(RedisModule_Call(
            self.0,
            c"SCAN".as_ptr(),
            c"Ebcbcl".as_ptr(),
            cursor.as_ptr().cast::<c_char>(),
            cursor.len(),
            c"MATCH".as_ptr(),
            pattern.as_ptr().cast::<c_char>(),
            pattern.len(),
            c"COUNT".as_ptr(),
            c_longlong::try_from(count).unwrap_or(c_longlong::MAX),
        ));
        Reply::new(self, reply).into_result()
    }

    /// A setting of the server.
    pub(crate) fn config(&self, name: &CStr) -> Result<Vec<u8>, String> {
        let words = (c"CONFIG".as_ptr(), c"Ecc".as_ptr(), c"GET".as_ptr(), name.as_ptr());
        let reply = call!(RedisModule_Call(self.0, words.0, words.1, words.2, words.3));
        let reply = Reply::new(self, reply).into_result()?;
        let value = reply.part(1);
        value.map(|value| value.text().to_vec()).ok_or_else(|| "no such setting".to_owned())
    }

    /// Whether a command writes keys; `None` where this server has none of that name.
    pub(crate) fn writes(&self, command: &[u8]) -> Option<bool> {
        let (format, name) = (c"Ecb".as_ptr(), command.as_ptr().cast::<c_char>());
        let reply = call!(RedisModule_Call(self.0, c"COMMAND".as_ptr(), format, c"INFO".as_ptr(), name, command.len()));
        let reply = Reply::new(self, reply).into_result().ok()?;
        // Its name, its arity, its flags, ...
        let flags = reply.part(0)?.part(2)?;
        Some(flags.parts().any(|flag| flag.text() == b"write"))
    }

    /// Lets [`capture::append_pending`] run when the execution unit ends; whether Redis will.
    pub(crate) fn schedule(&self) -> bool {
        call!(RedisModule_AddPostNotificationJob(self.0, Some(unit_ended), ptr::null_mut(), None)) == Some(OK)
    }

    /// Lets [`capture::wake`] run before and after the server sleeps; whether Redis will.
    pub(crate) fn subscribe_to_event_loop(&self) -> bool {
        subscribe(self, raw::REDISMODULE_EVENT_EVENTLOOP, Some(server_event)).is_ok()
    }

    /// Repeats the command that runs on replicas and in the AOF.
    pub(crate) fn replicate(&self) {
        call!(RedisModule_ReplicateVerbatim(self.0));
    }

    /// Writes a warning to the server's log; a NUL, which would end it, becomes a space.
    pub(crate) fn warn(&self, text: &str) {
        self.log(c"warning", text);
    }

    fn log(&self, level: &CStr, text: &str) {
        if let Ok(text) = CString::new(text.replace('\0', " ")) {
            call!(RedisModule_Log(self.0, level.as_ptr(), c"%s".as_ptr(), text.as_ptr()));
        }
    }

    /// Draws a number that no one can guess.
    pub(crate) fn random() -> u64 {
        let mut bytes = [0_u8; 8];
        call!(RedisModule_GetRandomBytes(bytes.as_mut_ptr(), bytes.len()));
        u64::from_ne_bytes(bytes)
    }

    fn answer(&self, answer: &Answer) {
        match answer {
            Answer::Text(text) => {
                call!(RedisModule_ReplyWithStringBuffer(self.0, text.as_ptr().cast(), text.len()));
            }
            Answer::Number(number) => {
                call!(RedisModule_ReplyWithLongLong(self.0, *number));
            }
            Answer::List(answers) => {
                let len = c_long::try_from(answers.len()).unwrap_or_default();
                call!(RedisModule_ReplyWithArray(self.0, len));
                answers.iter().for_each(|answer| self.answer(answer));
            }
            Answer::Error(text) => {
                let text = CString::new(text.replace(['\0', '\r', '\n'], " ")).unwrap_or_default();
                call!(RedisModule_ReplyWithError(self.0, text.as_ptr()));
            }
        }
    }
}

/// A string that this module made and frees.
struct Text(*mut raw::RedisModuleString);

impl Text {
    fn new(bytes: &[u8]) -> Option<Self> {
        let text = call!(RedisModule_CreateString(ptr::null_mut(), bytes.as_ptr().cast(), bytes.len()))?;
        (!text.is_null()).then_some(Self(text))
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        call!(RedisModule_FreeString(ptr::null_mut(), self.0));
    }
}

/// What a key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Empty,
    /// A hash.
    Hash,
    /// A set.
    Set,
    /// A sorted set.
    SortedSet,
    /// A string.
    String,
    /// A stream.
    Stream,
    /// A value of a module.
    Module,
    /// Something else.
    Other,
}

/// The id of an entry of a stream: milliseconds, and the number among those of one.
pub(crate) type Id = (u64, u64);

/// An open key.
pub(crate) struct Key<'c> {
    raw: *mut raw::RedisModuleKey,
    /// Whether this module opened it and has to close it.
    owned: bool,
    opened_by: PhantomData<&'c Context>,
}

impl Key<'_> {
    /// What it holds.
    pub(crate) fn kind(&self) -> Kind {
        match call!(RedisModule_KeyType(self.raw)).map_or(0, |kind| isize::try_from(kind).unwrap_or_default()) {
            raw::REDISMODULE_KEYTYPE_EMPTY => Kind::Empty,
            raw::REDISMODULE_KEYTYPE_STRING => Kind::String,
            raw::REDISMODULE_KEYTYPE_HASH => Kind::Hash,
            raw::REDISMODULE_KEYTYPE_SET => Kind::Set,
            raw::REDISMODULE_KEYTYPE_ZSET => Kind::SortedSet,
            raw::REDISMODULE_KEYTYPE_STREAM => Kind::Stream,
            raw::REDISMODULE_KEYTYPE_MODULE => Kind::Module,
            _ => Kind::Other,
        }
    }

    /// How many bytes a string has, how many fields or members anything else.
    pub(crate) fn len(&self) -> usize {
        call!(RedisModule_ValueLength(self.raw)).unwrap_or_default()
    }

    /// Calls `visit` with every field or member and its value or score, as long as it returns true.
    ///
    /// Nothing can change or resize the key meanwhile, so each comes exactly once.
    pub(crate) fn scan<F: FnMut(&[u8], &[u8]) -> bool>(&self, visit: F) {
        let mut visitor = Visitor { visit, goes_on: true };
        let cursor = call!(RedisModule_ScanCursorCreate()).unwrap_or(ptr::null_mut());
        if cursor.is_null() {
            return;
        }
        let visitor_ptr = (&raw mut visitor).cast::<c_void>();
        loop {
            let more = call!(RedisModule_ScanKey(self.raw, cursor, Some(visit_one::<F>), visitor_ptr));
            // SAFETY: `visitor` lives until the end of this function, and ScanKey keeps no pointer to it.
            let goes_on = unsafe { (*visitor_ptr.cast::<Visitor<F>>()).goes_on };
            if more != Some(1) || !goes_on {
                break;
            }
        }
        call!(RedisModule_ScanCursorDestroy(cursor));
    }

    /// Calls `visit` with the entries of a stream behind an id, as long as it returns true: first without a field, then
    /// with each.
    pub(crate) fn entries(&self, behind: Id, mut visit: impl FnMut(Id, Option<(&[u8], &[u8])>) -> bool) {
        /// `REDISMODULE_STREAM_ITERATOR_EXCLUSIVE`, which is 1.
        const BEHIND: c_int = 1;
        let mut start = raw::RedisModuleStreamID { ms: behind.0, seq: behind.1 };
        let end = ptr::null_mut();
        if call!(RedisModule_StreamIteratorStart(self.raw, BEHIND, &raw mut start, end)) != Some(OK) {
            return;
        }
        let mut id = raw::RedisModuleStreamID { ms: 0, seq: 0 };
        let mut fields = 0;
        let mut goes_on = true;
        while goes_on && call!(RedisModule_StreamIteratorNextID(self.raw, &raw mut id, &raw mut fields)) == Some(OK) {
            goes_on = visit((id.ms, id.seq), None);
            let (mut name, mut value) = (ptr::null_mut(), ptr::null_mut());
            while goes_on
                && call!(RedisModule_StreamIteratorNextField(self.raw, &raw mut name, &raw mut value)) == Some(OK)
            {
                let (name, value) = (Text(name), Text(value));
                goes_on = visit((id.ms, id.seq), Some((string_bytes(name.0, &name), string_bytes(value.0, &value))));
            }
        }
        call!(RedisModule_StreamIteratorStop(self.raw));
    }

    /// Reads what its module saves of the value, as an RDB file has it.
    pub(crate) fn saved<T>(&self, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let value = call!(RedisModule_ModuleTypeGetValue(self.raw)).filter(|value| !value.is_null())?;
        let kind = call!(RedisModule_ModuleTypeGetType(self.raw)).filter(|kind| !kind.is_null())?;
        let saved = call!(RedisModule_SaveDataTypeToString(ptr::null_mut(), value, kind))?;
        let saved = (!saved.is_null()).then_some(Text(saved))?;
        read(string_bytes(saved.0, &saved))
    }

    fn db(&self) -> u32 {
        let db = call!(RedisModule_GetDbIdFromModuleKey(self.raw)).unwrap_or_default();
        u32::try_from(db).unwrap_or_default()
    }

    fn name(&self) -> &[u8] {
        let name = call!(RedisModule_GetKeyNameFromModuleKey(self.raw)).unwrap_or(ptr::null());
        string_bytes(name, self)
    }
}

impl Drop for Key<'_> {
    fn drop(&mut self) {
        if self.owned {
            call!(RedisModule_CloseKey(self.raw));
        }
    }
}

struct Visitor<F> {
    visit: F,
    goes_on: bool,
}

/// The callback of [`Key::scan`].
unsafe extern "C" fn visit_one<F: FnMut(&[u8], &[u8]) -> bool>(
    _key: *mut raw::RedisModuleKey,
    field: *mut raw::RedisModuleString,
    value: *mut raw::RedisModuleString,
    visitor: *mut c_void,
) {
    // SAFETY: `scan` passes its own visitor, of this very type, and touches it again only after ScanKey returned.
    let visitor = unsafe { &mut *visitor.cast::<Visitor<F>>() };
    if visitor.goes_on {
        // (live pointers) Redis owns both strings and keeps them until this callback returns.
        visitor.goes_on = (visitor.visit)(string_bytes(field, &field), string_bytes(value, &value));
    }
}

/// The reply of a command that this module called.
pub(crate) struct Reply<'c> {
    raw: Option<*mut raw::RedisModuleCallReply>,
    called_by: PhantomData<&'c Context>,
}

impl<'c> Reply<'c> {
    fn new(_called_by: &'c Context, raw: Option<*mut raw::RedisModuleCallReply>) -> Self {
        Self { raw, called_by: PhantomData }
    }

    /// The reply, or the error that it is.
    fn into_result(self) -> Result<Self, String> {
        let reply = self.raw.filter(|reply| !reply.is_null()).ok_or("the command was refused")?;
        let kind = call!(RedisModule_CallReplyType(reply)).unwrap_or_default();
        if isize::try_from(kind) == Ok(raw::REDISMODULE_REPLY_ERROR) {
            return Err(String::from_utf8_lossy(self.text()).into_owned());
        }
        Ok(self)
    }

    /// The bytes of a string or an error.
    pub(crate) fn text(&self) -> &[u8] {
        self.whole().map_or(&[], Part::text)
    }

    /// A part of an array.
    pub(crate) fn part(&self, at: usize) -> Option<Part<'_>> {
        self.whole()?.part(at)
    }

    /// All of it.
    fn whole(&self) -> Option<Part<'_>> {
        let raw = self.raw.filter(|reply| !reply.is_null())?;
        Some(Part { raw, of: self })
    }
}

/// A part of a reply; it goes with the whole.
#[derive(Clone, Copy)]
pub(crate) struct Part<'r> {
    raw: *mut raw::RedisModuleCallReply,
    of: &'r Reply<'r>,
}

impl<'r> Part<'r> {
    /// The bytes of a string or an error.
    pub(crate) fn text(self) -> &'r [u8] {
        let mut len = 0;
        let start = call!(RedisModule_CallReplyStringPtr(self.raw, &raw mut len)).unwrap_or(ptr::null());
        bytes(start, len, self.of)
    }

    /// A number; 0 where it is none.
    pub(crate) fn number(self) -> u64 {
        let is_number =
            call!(RedisModule_CallReplyType(self.raw)) == c_int::try_from(raw::REDISMODULE_REPLY_INTEGER).ok();
        let number = if is_number { call!(RedisModule_CallReplyInteger(self.raw)) } else { None };
        number.and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
    }

    /// A part of an array.
    pub(crate) fn part(self, at: usize) -> Option<Self> {
        let raw = call!(RedisModule_CallReplyArrayElement(self.raw, at)).filter(|part| !part.is_null())?;
        Some(Self { raw, of: self.of })
    }

    /// All parts of an array.
    pub(crate) fn parts(self) -> impl Iterator<Item = Self> {
        (0..).map_while(move |at| self.part(at))
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if let Some(reply) = self.raw.filter(|reply| !reply.is_null()) {
            call!(RedisModule_FreeCallReply(reply));
        }
    }
}

/// What Redis saves rules to and loads them from.
pub(crate) struct Storage(*mut raw::RedisModuleIO);

impl Storage {
    /// Saves a number.
    pub(crate) fn save_number(&self, number: u64) {
        call!(RedisModule_SaveUnsigned(self.0, number));
    }

    /// Saves bytes.
    pub(crate) fn save_bytes(&self, bytes: &[u8]) {
        call!(RedisModule_SaveStringBuffer(self.0, bytes.as_ptr().cast(), bytes.len()));
    }

    /// Loads a number.
    pub(crate) fn load_number(&self) -> Option<u64> {
        let number = call!(RedisModule_LoadUnsigned(self.0))?;
        (!self.failed()).then_some(number)
    }

    /// Loads bytes.
    pub(crate) fn load_bytes(&self) -> Option<Vec<u8>> {
        let mut len = 0;
        let start = call!(RedisModule_LoadStringBuffer(self.0, &raw mut len))?;
        if start.is_null() || self.failed() {
            return None;
        }
        let copy = bytes(start, len, &start).to_vec();
        call!(RedisModule_Free(start.cast()));
        Some(copy)
    }

    fn failed(&self) -> bool {
        call!(RedisModule_IsIOError(self.0)) != Some(0)
    }
}

/// Where the fields of INFO go.
pub(crate) struct Info(*mut raw::RedisModuleInfoCtx);

impl Info {
    /// Adds a number.
    pub(crate) fn number(&self, name: &CStr, value: u64) {
        call!(RedisModule_InfoAddFieldULongLong(self.0, name.as_ptr(), value));
    }

    /// Adds a text; what would break its line becomes a space.
    pub(crate) fn text(&self, name: &CStr, value: &str) {
        let value = CString::new(value.replace(['\0', '\r', '\n'], " ")).unwrap_or_default();
        call!(RedisModule_InfoAddFieldCString(self.0, name.as_ptr(), value.as_ptr()));
    }
}

/// The bytes at a pointer of Redis, for as long as their owner is borrowed.
fn bytes<T: ?Sized>(start: *const c_char, len: usize, _owner: &T) -> &[u8] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: (live pointers) Redis says that `len` bytes stand there, and they do not move while the owner lives.
    unsafe { slice::from_raw_parts(start.cast(), len) }
}

/// The bytes of a string of Redis, for as long as its owner is borrowed.
fn string_bytes<T: ?Sized>(string: *const raw::RedisModuleString, owner: &T) -> &[u8] {
    if string.is_null() {
        return &[];
    }
    let mut len = 0;
    let start = call!(RedisModule_StringPtrLen(string, &raw mut len)).unwrap_or(ptr::null());
    bytes(start, len, owner)
}

/// The arguments of a command, its own name not among them.
fn arguments(words: &[*mut raw::RedisModuleString]) -> Vec<&[u8]> {
    words.iter().skip(1).map(|word| string_bytes(*word, words)).collect()
}

unsafe extern "C" fn command<const WHICH: u8>(
    context: *mut raw::RedisModuleCtx,
    words: *mut *mut raw::RedisModuleString,
    count: c_int,
) -> c_int {
    let count = usize::try_from(count).unwrap_or_default();
    // SAFETY: (live pointers) Redis passes `count` strings, which live until the command returns.
    let words = unsafe { slice::from_raw_parts(words, count) };
    let (context, words) = (Context(context), arguments(words));
    context.answer(&match WHICH {
        TRACK => commands::track(&context, &words),
        UNTRACK => commands::untrack(&context, &words),
        SNAPSHOT => commands::snapshot(&context, &words),
        STREAMS => commands::streams(&context, &words),
        TAG => commands::tag(&context, &words),
        READ => commands::read(&context, &words),
        _ => commands::rules(&words),
    });
    OK
}

const TRACK: u8 = 0;
const UNTRACK: u8 = 1;
const RULES: u8 = 2;
const SNAPSHOT: u8 = 3;
const STREAMS: u8 = 4;
const TAG: u8 = 5;
const READ: u8 = 6;

unsafe extern "C" fn key_event(
    context: *mut raw::RedisModuleCtx,
    _kind: c_int,
    event: *const c_char,
    key: *mut raw::RedisModuleString,
) -> c_int {
    if capture::is_idle() {
        return OK;
    }
    // SAFETY: (live pointers) the name of an event is a C string that outlives the callback.
    let event = unsafe { CStr::from_ptr(event) };
    let context = Context(context);
    capture::happened(&context, context.db(), string_bytes(key, &key), &Happening::Event(event.to_bytes()));
    OK
}

unsafe extern "C" fn key_goes(
    context: *mut raw::RedisModuleCtx,
    _event: raw::RedisModuleEvent,
    how: u64,
    data: *mut c_void,
) {
    if data.is_null() {
        return;
    }
    // SAFETY: (live pointers) for this event Redis passes a RedisModuleKeyInfoV1; its key stays open meanwhile.
    let raw = unsafe { (*data.cast::<raw::RedisModuleKeyInfoV1>()).key };
    let context = Context(context);
    let key = context.borrowed_key(raw);
    let how = match how {
        raw::REDISMODULE_SUBEVENT_KEY_EXPIRED => How::Expired,
        raw::REDISMODULE_SUBEVENT_KEY_EVICTED => How::Evicted,
        raw::REDISMODULE_SUBEVENT_KEY_OVERWRITTEN => How::Overwritten,
        _ => How::Deleted,
    };
    capture::happened(&context, key.db(), key.name(), &Happening::Goes { key: &key, how });
}

/// Redis calls it before each command of a client, in a cluster.
unsafe extern "C" fn command_runs(filter: *mut raw::RedisModuleCommandFilterCtx) {
    let word =
        |at| call!(RedisModule_CommandFilterArgGet(filter, at)).map_or(&[][..], |word| string_bytes(word, &filter));
    let count = call!(RedisModule_CommandFilterArgsCount(filter)).unwrap_or_default();
    let words = [0, 1, 2, 3].map(word);
    let known = words.get(..usize::try_from(count).unwrap_or_default()).unwrap_or(&words);
    capture::with(|state| state.cluster.runs(known, crate::recorder::now_us));
}

/// What this module calls itself is not passed to [`command_runs`].
const NOT_OWN_CALLS: c_int = 1;

unsafe extern "C" fn unit_ended(context: *mut raw::RedisModuleCtx, _data: *mut c_void) {
    capture::append_pending(&Context(context));
}

unsafe extern "C" fn server_event(
    context: *mut raw::RedisModuleCtx,
    event: raw::RedisModuleEvent,
    what: u64,
    data: *mut c_void,
) {
    let context = Context(context);
    match (event.id, what) {
        (raw::REDISMODULE_EVENT_FLUSHDB, raw::REDISMODULE_SUBEVENT_FLUSHDB_END) if !data.is_null() => {
            // SAFETY: (live pointers) for this event Redis passes a RedisModuleFlushInfoV1.
            let db = unsafe { (*data.cast::<raw::RedisModuleFlushInfoV1>()).dbnum };
            match u32::try_from(db) {
                Ok(db) => capture::flushed(&context, &[db], "flushdb"),
                Err(_) => capture::flushed(&context, &[], "flushall"),
            }
        }
        (raw::REDISMODULE_EVENT_SWAPDB, _) if !data.is_null() => {
            // SAFETY: (live pointers) for this event Redis passes a RedisModuleSwapDbInfoV1.
            let swapped = unsafe { *data.cast::<raw::RedisModuleSwapDbInfoV1>() };
            let dbs = [swapped.dbnum_first, swapped.dbnum_second].map(|db| u32::try_from(db).unwrap_or_default());
            capture::swapped(&context, dbs);
        }
        (raw::REDISMODULE_EVENT_LOADING, raw::REDISMODULE_SUBEVENT_LOADING_ENDED) => {
            capture::begins();
            capture::settled(&context);
        }
        (raw::REDISMODULE_EVENT_LOADING, raw::REDISMODULE_SUBEVENT_LOADING_FAILED) => {}
        (raw::REDISMODULE_EVENT_LOADING, _) => capture::loading_starts(&context),
        (raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED, now) if now == NOW_PRIMARY => {
            capture::draw_epoch();
            capture::begins();
            capture::settled(&context);
        }
        (raw::REDISMODULE_EVENT_CONFIG, _) => capture::settled(&context),
        // CRON_LOOP: Redis runs waiting jobs when this callback ends, also those of field expiry, which happens
        // outside an execution unit.
        (raw::REDISMODULE_EVENT_CRON_LOOP | raw::REDISMODULE_EVENT_EVENTLOOP, _) => capture::wake(&context),
        _ => {}
    }
}

const NOW_PRIMARY: u64 = raw::REDISMODULE_EVENT_REPLROLECHANGED_NOW_MASTER;

unsafe extern "C" fn info(info: *mut raw::RedisModuleInfoCtx, _for_crash_report: c_int) {
    if call!(RedisModule_InfoAddSection(info, c"".as_ptr())) == Some(OK) {
        commands::info(&Info(info));
    }
}

unsafe extern "C" fn save_rules(storage: *mut raw::RedisModuleIO, _when: c_int) {
    commands::save(&Storage(storage));
}

unsafe extern "C" fn load_rules(storage: *mut raw::RedisModuleIO, encoding: c_int, _when: c_int) -> c_int {
    if commands::load(&Storage(storage), encoding) { OK } else { ERR }
}

/// No key has this type, so these are never called; Redis wants them all the same.
unsafe extern "C" fn load_value(_storage: *mut raw::RedisModuleIO, _encoding: c_int) -> *mut c_void {
    ptr::null_mut()
}

unsafe extern "C" fn save_value(_storage: *mut raw::RedisModuleIO, _value: *mut c_void) {}

unsafe extern "C" fn free_value(_value: *mut c_void) {}

/// The entry point that Redis looks up by its name.
///
/// # Safety
/// Redis calls it once, with a context and `count` strings that live until it returns.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "Redis reaches it by name; inside the crate nothing does")]
pub unsafe extern "C" fn RedisModule_OnLoad(
    context: *mut raw::RedisModuleCtx,
    words: *mut *mut raw::RedisModuleString,
    count: c_int,
) -> c_int {
    // SAFETY: the context comes from Redis, and the name is a C string.
    if unsafe { raw::Export_RedisModule_Init(context, MODULE_NAME.as_ptr(), 1, 1) } != OK {
        return ERR;
    }
    let count = usize::try_from(count).unwrap_or_default();
    let words: &[*mut raw::RedisModuleString] = if count == 0 || words.is_null() {
        &[]
    } else {
        // SAFETY: Redis passes `count` strings.
        unsafe { slice::from_raw_parts(words, count) }
    };
    let context = Context(context);
    let words: Vec<&[u8]> = words.iter().map(|word| string_bytes(*word, words)).collect();
    match start(&context, &words) {
        Ok(()) => OK,
        Err(why) => {
            context.warn(&why);
            ERR
        }
    }
}

fn start(context: &Context, words: &[&[u8]]) -> Result<(), String> {
    commands::configure(words)?;
    if !complete() {
        return Err("this Redis is too old: 7.2 or newer is needed".to_owned());
    }
    let options = c_int::try_from(raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS).unwrap_or_default();
    call!(RedisModule_SetModuleOptions(context.0, options));
    let commands: [(&CStr, &CStr, raw::RedisModuleCmdFunc, c_int); 7] = [
        // Without `deny-oom`: a worker tracks again whenever it starts, also while memory is short.
        (c"wb.track", c"write admin", Some(command::<TRACK>), 0),
        (c"wb.untrack", c"write admin", Some(command::<UNTRACK>), 0),
        (c"wb.rules", c"readonly admin", Some(command::<RULES>), 0),
        (c"wb.streams", c"readonly admin", Some(command::<STREAMS>), 0),
        (c"wb.tag", c"write admin", Some(command::<TAG>), 0),
        // With its key, so that a cluster says where the stream is.
        (c"wb.read", c"readonly", Some(command::<READ>), 1),
        // With it: what a snapshot appends no write has made room for.
        (c"wb.snapshot", c"write deny-oom admin", Some(command::<SNAPSHOT>), 0),
    ];
    for (name, flags, body, key) in commands {
        let made = call!(RedisModule_CreateCommand(context.0, name.as_ptr(), body, flags.as_ptr(), key, key, key));
        done(made, "register its commands")?;
    }
    let keyspace = call!(RedisModule_SubscribeToKeyspaceEvents(context.0, KEYSPACE_EVENTS, Some(key_event)));
    done(keyspace, "subscribe to keyspace events")?;
    subscribe(context, raw::REDISMODULE_EVENT_KEY, Some(key_goes))?;
    for id in [
        raw::REDISMODULE_EVENT_FLUSHDB,
        raw::REDISMODULE_EVENT_SWAPDB,
        raw::REDISMODULE_EVENT_LOADING,
        raw::REDISMODULE_EVENT_REPLICATION_ROLE_CHANGED,
        raw::REDISMODULE_EVENT_CONFIG,
        raw::REDISMODULE_EVENT_CRON_LOOP,
    ] {
        subscribe(context, id, Some(server_event))?;
    }
    done(call!(RedisModule_RegisterInfoFunc(context.0, Some(info))), "register its INFO section")?;
    register_type(context)?;
    if context.standing().clustered() {
        let filter = call!(RedisModule_RegisterCommandFilter(context.0, Some(command_runs), NOT_OWN_CALLS));
        if filter.is_none_or(|filter| filter.is_null()) {
            return Err("the module cannot see which commands move keys".to_owned());
        }
        capture::with(|state| state.is_clustered = true);
    }
    capture::draw_epoch();
    Ok(())
}

/// Whether this Redis has the newest functions that the module calls, and so all of them.
fn complete() -> bool {
    // SAFETY: (bound functions) they are not written any more.
    let (job, key_db) = unsafe { (raw::RedisModule_AddPostNotificationJob, raw::RedisModule_GetDbIdFromModuleKey) };
    job.is_some() && key_db.is_some()
}

/// Neither STRING nor LIST: Redis spends more on calling a module than on a `SET` in a pipeline. That a string takes
/// the place of a tracked key is seen without them, by the key that goes; what is done to strings and lists is not.
const KEYSPACE_EVENTS: c_int = raw::REDISMODULE_NOTIFY_HASH
    | raw::REDISMODULE_NOTIFY_SET
    | raw::REDISMODULE_NOTIFY_ZSET
    | raw::REDISMODULE_NOTIFY_GENERIC
    | raw::REDISMODULE_NOTIFY_EXPIRED
    | raw::REDISMODULE_NOTIFY_EVICTED
    | raw::REDISMODULE_NOTIFY_MODULE
    | raw::REDISMODULE_NOTIFY_NEW;

fn subscribe(context: &Context, id: u64, callback: raw::RedisModuleEventCallback) -> Result<(), String> {
    let event = raw::RedisModuleEvent { id, dataver: 1 };
    done(call!(RedisModule_SubscribeToServerEvent(context.0, event, callback)), "subscribe to server events")
}

fn done(outcome: Option<c_int>, what: &str) -> Result<(), String> {
    if outcome == Some(OK) { Ok(()) } else { Err(format!("the module cannot {what}")) }
}

fn register_type(context: &Context) -> Result<(), String> {
    let mut methods = raw::RedisModuleTypeMethods {
        version: u64::from(raw::REDISMODULE_TYPE_METHOD_VERSION),
        rdb_load: Some(load_value),
        rdb_save: Some(save_value),
        aof_rewrite: None,
        mem_usage: None,
        digest: None,
        free: Some(free_value),
        aux_load: Some(load_rules),
        aux_save: None,
        aux_save_triggers: c_int::try_from(raw::REDISMODULE_AUX_BEFORE_RDB).unwrap_or_default(),
        free_effort: None,
        unlink: None,
        copy: None,
        defrag: None,
        mem_usage2: None,
        free_effort2: None,
        unlink2: None,
        copy2: None,
        aux_save2: Some(save_rules),
    };
    let made = call!(RedisModule_CreateDataType(context.0, TYPE_NAME.as_ptr(), TYPE_ENCODING, &raw mut methods));
    if made.is_some_and(|made| !made.is_null()) {
        Ok(())
    } else {
        Err("the module cannot register its type".to_owned())
    }
}
