//! Who uses whom: the modules of a crate, and for each of them the modules that define what it names.
//! Names are followed through re-exports to where they are defined, so a `mod.rs` that only hands
//! names on is nobody's dependency. A name that nothing in its module is seen to define was made by a
//! macro, and counts as defined there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that panics has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// A module by its path from the crate's root, such as `lifecycle::rules`; the root is empty.
pub type Module = String;

/// What stands in one module.
#[derive(Default)]
struct Content {
    /// Names that are defined here.
    defined: BTreeSet<String>,
    /// Names that are brought in, with the path that they stand for.
    imported: BTreeMap<String, Vec<String>>,
    /// Modules of which everything is brought in.
    globs: Vec<Vec<String>>,
    /// The same, where it is not handed on.
    modules: Vec<Vec<String>>,
    /// Every path of more than one segment that the code names.
    paths: Vec<Vec<String>>,
    /// Imports that are not handed on.
    used: Vec<Vec<String>>,
    /// A macro is called that may define names.
    makes_names: bool,
}

/// How sure it is that a module defines a name, surest first.
#[derive(Clone, Copy)]
enum Sure {
    /// Its definition is there to read.
    Read,
    /// A macro is called there that may make it.
    Made,
    /// It can be nowhere else.
    Left,
}

/// One search for a definition.
struct Search {
    sure: Sure,
    /// Where it was looked for, and by which path.
    seen: BTreeSet<(Module, Vec<String>)>,
}

/// The modules of a crate.
pub struct Modules(BTreeMap<Module, Content>);

impl Modules {
    /// Reads the crate with this root, such as `src/lib.rs`.
    pub fn read(root: &Path) -> Self {
        let mut modules = Self(BTreeMap::new());
        modules.file(&[], root, root.parent().unwrap());
        modules
    }

    fn file(&mut self, module: &[String], file: &Path, children: &Path) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        self.items(module, &parsed.items, children);
    }

    fn items(&mut self, module: &[String], items: &[Item], children: &Path) {
        let mut content = Content::default();
        for item in items.iter().filter(|item| !is_for_tests(item)) {
            match item {
                Item::Use(item) => {
                    let handed_on = !matches!(item.vis, Visibility::Inherited);
                    content.import(&item.tree, Vec::new(), handed_on);
                }
                Item::Mod(item) => {
                    let child = [module, &[item.ident.to_string()]].concat();
                    match &item.content {
                        Some((_, items)) => self.items(&child, items, children),
                        None => self.child(&child, children, &item.ident.to_string()),
                    }
                }
                item => {
                    let called = matches!(item, Item::Macro(call) if call.ident.is_none());
                    content.makes_names |= called;
                    content.defined.extend(name_of(item));
                    scan(item.to_token_stream(), &mut content.paths);
                }
            }
        }
        self.0.insert(module.join("::"), content);
    }

    fn child(&mut self, module: &[String], folder: &Path, name: &str) {
        let inside = folder.join(name);
        let (nested, flat) = (inside.join("mod.rs"), folder.join(format!("{name}.rs")));
        let file = if nested.exists() { nested } else { flat };
        self.file(module, &file, &inside);
    }

    /// For each module, the modules that define what it names.
    pub fn uses(&self) -> BTreeMap<Module, BTreeSet<Module>> {
        let of = |(module, content): (&Module, &Content)| {
            let named = content.used.iter().chain(&content.paths);
            let mut found: BTreeSet<Module> =
                named.filter_map(|path| self.definition(module, path)).collect();
            // Of everything in a module, any name stands for the rest.
            let all = content.modules.iter().map(|path| [&path[..], &["*".to_owned()]].concat());
            found.extend(all.filter_map(|path| self.definition(module, &path)));
            found.remove(module);
            (module.clone(), found)
        };
        self.0.iter().map(of).collect()
    }

    /// The module that defines what a path names when it stands in `module`. `None`: it names a module,
    /// or something of another crate.
    fn definition(&self, module: &str, path: &[String]) -> Option<Module> {
        [Sure::Read, Sure::Made, Sure::Left].into_iter().find_map(|sure| {
            let mut search = Search { sure, seen: BTreeSet::new() };
            self.found(module, path, &mut search)
        })
    }

    fn found(&self, module: &str, path: &[String], search: &mut Search) -> Option<Module> {
        let (at, rest) = start(module, path);
        // A name alone that nothing here defines is one of another crate.
        self.inside(&at, rest, rest.len() < path.len(), search)
    }

    /// The same for a path that begins in this module; `ours`: what it names is of this crate.
    fn inside(
        &self,
        module: &[String],
        path: &[String],
        ours: bool,
        search: &mut Search,
    ) -> Option<Module> {
        let (head, rest) = path.split_first()?;
        if head == "self" {
            return self.inside(module, rest, true, search);
        }
        let name = module.join("::");
        let content = self.0.get(&name)?;
        let child = [module, std::slice::from_ref(head)].concat();
        if self.0.contains_key(&child.join("::")) {
            return self.inside(&child, rest, true, search);
        }
        if head == "*" || content.defined.contains(head) {
            return Some(name);
        }
        // Modules may take in each other's names.
        if !search.seen.insert((name.clone(), path.to_vec())) {
            return None;
        }
        if let Some(path) = content.imported.get(head) {
            if path.first() == Some(head) {
                // Named like its crate, which is another one.
                return None;
            }
            return self.found(&name, &[path, rest].concat(), search);
        }
        let here = match search.sure {
            Sure::Read => false,
            Sure::Made => ours && content.makes_names,
            Sure::Left => ours,
        };
        if here {
            return Some(name);
        }
        content.globs.iter().find_map(|glob| match self.descend(start(&name, glob)) {
            Some(module) => self.inside(&module, path, ours, search),
            // Of an enum, or of a module that was imported; else of another crate.
            None if content.knows(glob.first()?) => {
                self.found(&name, &[&glob[..], path].concat(), search)
            }
            None => None,
        })
    }

    /// The module that a path names, if it names one without the help of an import.
    fn descend(&self, (mut at, rest): (Vec<String>, &[String])) -> Option<Vec<String>> {
        for part in rest {
            at.push(part.clone());
            self.0.get(&at.join("::"))?;
        }
        Some(at)
    }
}

impl Content {
    fn knows(&self, name: &str) -> bool {
        self.defined.contains(name) || self.imported.contains_key(name)
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, handed_on: bool) {
        match tree {
            UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.import(&part.tree, path, handed_on);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone(), handed_on));
            }
            UseTree::Glob(_) => {
                self.globs.push(path.clone());
                if !handed_on {
                    self.modules.push(path);
                }
            }
            UseTree::Name(name) => self.name(&name.ident.to_string(), None, path, handed_on),
            UseTree::Rename(rename) => {
                let shown = rename.rename.to_string();
                self.name(&rename.ident.to_string(), Some(shown), path, handed_on);
            }
        }
    }

    fn name(&mut self, name: &str, shown: Option<String>, mut path: Vec<String>, handed_on: bool) {
        let shown = shown.unwrap_or_else(|| match name {
            "self" => path.last().cloned().unwrap_or_default(),
            _ => name.to_owned(),
        });
        if name != "self" {
            path.push(name.to_owned());
        }
        if !handed_on {
            self.used.push(path.clone());
        }
        self.imported.insert(shown, path);
    }
}

/// Where a path that stands in `module` begins, and what is left of it.
fn start<'a>(module: &str, path: &'a [String]) -> (Vec<String>, &'a [String]) {
    let mut at: Vec<String> =
        module.split("::").filter(|part| !part.is_empty()).map(String::from).collect();
    let mut rest = path;
    while let Some((head, next)) = rest.split_first() {
        match head.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
            }
            _ => break,
        }
        rest = next;
    }
    (at, rest)
}

fn is_for_tests(item: &Item) -> bool {
    let attributes: &[Attribute] = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes
        .iter()
        .any(|one| one.to_token_stream().to_string().replace(' ', "") == "#[cfg(test)]")
}

/// The names that an item defines; a macro that is called at the top may define some, too.
fn name_of(item: &Item) -> Vec<String> {
    let one = |name: &syn::Ident| vec![name.to_string()];
    match item {
        Item::Const(item) => one(&item.ident),
        Item::Enum(item) => one(&item.ident),
        Item::Fn(item) => one(&item.sig.ident),
        Item::Static(item) => one(&item.ident),
        Item::Struct(item) => one(&item.ident),
        Item::Trait(item) => one(&item.ident),
        Item::Type(item) => one(&item.ident),
        Item::Union(item) => one(&item.ident),
        Item::Macro(item) => match &item.ident {
            Some(name) => one(name),
            None => defined_by(item.mac.tokens.clone()),
        },
        _ => Vec::new(),
    }
}

/// What follows `struct`, `enum`, `fn` and the like in the body of a macro call.
fn defined_by(tokens: TokenStream) -> Vec<String> {
    let words: Vec<String> = tokens.into_iter().map(|token| token.to_string()).collect();
    let defines = |word: &str| ["struct", "enum", "fn", "type", "const"].contains(&word);
    words.windows(2).filter(|pair| defines(&pair[0])).map(|pair| pair[1].clone()).collect()
}

/// Collects the paths of more than one segment, inside groups and macro calls, too.
fn scan(tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    scan_after(&[], tokens, found);
}

/// The same where each path goes on from another, as in `crate::a::{B, c::D}`.
fn scan_after(before: &[String], tokens: TokenStream, found: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    let mut colons = 0;
    let mut end = |path: &mut Vec<String>| {
        if path.len() > 1 {
            found.push(path.clone());
        }
        path.clear();
        path.extend_from_slice(before);
    };
    let mut groups = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Punct(mark) if mark.as_char() == ':' && !path.is_empty() => colons += 1,
            TokenTree::Group(group) => {
                let list = colons == 2 && group.delimiter() == Delimiter::Brace;
                groups.push((if list { path.clone() } else { Vec::new() }, group.stream()));
                end(&mut path);
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                end(&mut path);
                colons = 0;
            }
        }
    }
    end(&mut path);
    groups.into_iter().for_each(|(before, group)| scan_after(&before, group, found));
}

/// A shortest circle among the modules, if there is one: each uses the next, the last one the first.
pub fn circle(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Option<Vec<Module>> {
    let back = |start: &Module| {
        let mut ways = vec![vec![start.clone()]];
        let mut seen = BTreeSet::new();
        while let Some(way) = ways.first().cloned() {
            ways.remove(0);
            for next in uses.get(way.last()?).into_iter().flatten() {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.clone()) {
                    ways.push([&way[..], std::slice::from_ref(next)].concat());
                }
            }
        }
        None
    };
    uses.keys().filter_map(back).min_by_key(Vec::len)
}

/// All circles that share no use with each other: a list to work off.
pub fn circles(uses: &BTreeMap<Module, BTreeSet<Module>>) -> Vec<String> {
    let mut uses = uses.clone();
    let mut found = Vec::new();
    while let Some(way) = circle(&uses) {
        let next = way.get(1).unwrap_or(&way[0]).clone();
        if let Some(used) = uses.get_mut(&way[0]) {
            used.remove(&next);
        }
        let shown: Vec<&str> =
            way.iter().map(|module| if module.is_empty() { "lib" } else { module }).collect();
        found.push(shown.join(" -> "));
    }
    found
}
