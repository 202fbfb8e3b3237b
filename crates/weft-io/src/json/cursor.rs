//! Walking over JSON values. What is walked over is valid JSON, all of it.

use memchr::memchr;

/// Not plain JSON, or more than is handled here: somebody else's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unusual;

/// Deeper than this is unusual.
const MAX_DEPTH: u32 = 200;

/// What a value is, by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// Digits, perhaps after a minus sign: fits into an `i64` if there are 18 digits at most.
    Int,
    Float,
    True,
    False,
    Null,
    /// With its quotes.
    Str,
    /// An object or a list.
    Nested,
}

/// A place in JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(text: &'a str) -> Self {
        Cursor { bytes: text.as_bytes(), at: 0 }
    }

    #[inline]
    pub fn skip(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    #[inline]
    pub fn peek(&self) -> Result<u8, Unusual> {
        self.bytes.get(self.at).copied().ok_or(Unusual)
    }

    /// Steps over one byte, which must be this.
    #[inline]
    pub fn expect(&mut self, byte: u8) -> Result<(), Unusual> {
        if self.peek()? != byte {
            return Err(Unusual);
        }
        self.at += 1;
        Ok(())
    }

    fn literal(&mut self, text: &[u8], token: Token) -> Result<Token, Unusual> {
        if !self.bytes[self.at..].starts_with(text) {
            return Err(Unusual);
        }
        self.at += text.len();
        Ok(token)
    }

    /// Steps over a value.
    #[inline]
    pub fn value(&mut self) -> Result<Token, Unusual> {
        self.value_within(0)
    }

    #[inline]
    fn value_within(&mut self, depth: u32) -> Result<Token, Unusual> {
        match self.peek()? {
            b'"' => self.string().map(|_| Token::Str),
            b'{' => self.object(depth + 1).map(|()| Token::Nested),
            b'[' => self.list(depth + 1).map(|()| Token::Nested),
            b't' => self.literal(b"true", Token::True),
            b'f' => self.literal(b"false", Token::False),
            b'n' => self.literal(b"null", Token::Null),
            _ => self.number(),
        }
    }

    /// Steps over a string; the text between its quotes, as it is written.
    #[inline]
    pub fn string(&mut self) -> Result<&'a [u8], Unusual> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Ok(&self.bytes[start..self.at - 1]);
                }
                b'\\' => self.escape()?,
                0..=0x1f => return Err(Unusual),
                _ => self.at += 1,
            }
        }
    }

    #[cold]
    fn escape(&mut self) -> Result<(), Unusual> {
        let rest = &self.bytes[self.at + 1..];
        self.at += match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') if rest.get(1..5).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 6,
            _ => return Err(Unusual),
        };
        Ok(())
    }

    fn object(&mut self, depth: u32) -> Result<(), Unusual> {
        if depth > MAX_DEPTH {
            return Err(Unusual);
        }
        self.at += 1;
        let mut more = true;
        while more && self.key()?.is_some() {
            self.value_within(depth)?;
            more = self.more()?;
        }
        Ok(())
    }

    fn list(&mut self, depth: u32) -> Result<(), Unusual> {
        if depth > MAX_DEPTH {
            return Err(Unusual);
        }
        self.at += 1;
        self.skip();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value_within(depth)?;
            self.skip();
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b',' => self.skip(),
                b']' => return Ok(()),
                _ => return Err(Unusual),
            }
        }
    }

    fn digits(&mut self) -> Result<usize, Unusual> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.bytes.get(self.at) {
            self.at += 1;
        }
        if self.at == start { Err(Unusual) } else { Ok(self.at - start) }
    }

    fn number(&mut self) -> Result<Token, Unusual> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        let zero = self.peek()? == b'0';
        if self.digits()? > 1 && zero {
            return Err(Unusual);
        }
        let mut token = Token::Int;
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
            token = Token::Float;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
            token = Token::Float;
        }
        Ok(token)
    }

    /// The next key of an object, after its `{` or `,`; the cursor is then at the value. `None`: the object is empty.
    #[inline]
    pub fn key(&mut self) -> Result<Option<&'a [u8]>, Unusual> {
        self.skip();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(None);
        }
        let key = self.string()?;
        self.skip();
        self.expect(b':')?;
        self.skip();
        Ok(Some(key))
    }

    /// After a value in an object: whether another key follows.
    #[inline]
    pub fn more(&mut self) -> Result<bool, Unusual> {
        self.skip();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => {
                self.skip();
                // An object does not end after a comma.
                if self.peek()? == b'"' { Ok(true) } else { Err(Unusual) }
            }
            b'}' => Ok(false),
            _ => Err(Unusual),
        }
    }
}

/// Undoes the escapes of a string's text and appends it to `out`.
pub fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), Unusual> {
    let mut rest = text;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let escape = *rest.get(at + 1).ok_or(Unusual)?;
        rest = &rest[at + 2..];
        out.push(match escape {
            b'"' | b'\\' | b'/' => escape,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (c, used) = unicode(rest)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[used..];
                continue;
            }
            _ => return Err(Unusual),
        });
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// The character of the hexadecimal digits after `\u`, and how many bytes they are, with the other half of a pair.
fn unicode(text: &[u8]) -> Result<(char, usize), Unusual> {
    let hex = |text: &[u8]| {
        let digits = text.get(..4).ok_or(Unusual)?;
        digits
            .iter()
            .try_fold(0, |value, &digit| Some(value * 16 + (digit as char).to_digit(16)?))
            .ok_or(Unusual)
    };
    let code: u32 = hex(text)?;
    if !(0xd800..0xdc00).contains(&code) {
        return char::from_u32(code).map(|c| (c, 4)).ok_or(Unusual);
    }
    if text.get(4..6) != Some(b"\\u") {
        return Err(Unusual);
    }
    let low = hex(&text[6..])?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(Unusual);
    }
    let code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    char::from_u32(code).map(|c| (c, 10)).ok_or(Unusual)
}
