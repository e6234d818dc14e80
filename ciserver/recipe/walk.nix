# Tells of every job in a set of attributes, as lines that begin with the mark: where it is, before
# it looks there, so that whoever reads knows what an evaluation that breaks off broke off at; and
# what it found. `after` is where an earlier run broke off: what comes before is passed over.
{ root, mark, after, again, patient, deepest }:

let
  inherit (builtins) attrNames concatMap deepSeq foldl' head isAttrs isInt isList isString length
    map seq tail toJSON trace tryEval typeOf unsafeDiscardStringContext;

  tell = what: trace "${mark}${toJSON what}" null;
  each = look: list: foldl' (done: one: seq done (look one)) null list;

  # What throws is caught only by the patient: otherwise its message is wanted.
  attempt = value: if patient then tryEval value else { success = true; inherit value; };

  text = value: if isString value then unsafeDiscardStringContext value else null;
  number = value: if isInt value then value else null;
  addresses = value:
    if isList value
    then concatMap (one: concatMap (found: if isString found then [ found ] else [ ])
      [ (if isAttrs one then one.email or null else one) ]) value
    else [ ];
  optional = value: let made = tryEval (deepSeq value value); in
    if made.success then made.value else null;

  # What an aggregate consists of: jobs by their names, and derivations.
  constituent = one: if isString one then { name = text one; } else { drv = text one.drvPath; };

  job = value: {
    drv = text (value.drvPath or null);
    constituents = if (value._hydraAggregate or false) == true
      then map constituent (value.constituents or [ ]) else [ ];
    globs = (value._hydraGlobConstituents or false) == true;
    system = text (value.system or null);
    timeout = optional (number (value.meta.timeout or null));
    silence = optional (number (value.meta.maxSilent or null));
    priority = optional (number (value.meta.schedulingPriority or null));
    maintainers = optional (addresses (value.meta.maintainers or [ ]));
  };

  look = path: value:
    seq (tell { at = path; }) (
      let kind = attempt (typeOf value); in
      if !kind.success then tell { inherit path; fault = "throws an error"; }
      else if kind.value == "null" then null
      else if kind.value != "set" then tell { inherit path; odd = kind.value; }
      else if (value.type or null) == "derivation" then
        let made = attempt (let found = job value; in deepSeq found found); in
        if made.success then tell { inherit path; job = made.value; }
        else tell { inherit path; fault = "throws an error"; }
      else if length path >= deepest then
        tell { inherit path; fault = "is nested more than ${toString deepest} levels deep"; }
      else each (name: look (path ++ [ name ]) value.${name}) (names value)
    );

  names = value: concatMap (name: if name == "recurseForDerivations" then [ ] else [ name ])
    (attrNames value);

  resume = path: value: rest:
    if rest == [ ] then (if again then look path value else null)
    else each (name:
      let below = path ++ [ name ]; in
      if name < head rest then null
      else if name == head rest then resume below value.${name} (tail rest)
      else look below value.${name}) (names value);
in
seq (if after == null then look [ ] root else resume [ ] root after) (tell { end = true; })
