"""What a text brings besides its word pieces: the part of speech of its words, and copies with synonyms put in.

Source: the data features of the MT-BERT report. Tags are the Penn Treebank's (Marcus et al. 1993). The report took its
neighbours from word vectors trained to tell synonyms from opposites; ours are BERT's own, with a list of opposites.
"""

# V vocabulary, N words, M words at a time, D hidden
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from minbert.files import MinbertError
from minbert.tokenizer import SPECIAL_TOKENS, BertTokenizer
from multitask.data import Example, make_generator
from multitask.recipe import FeaturesRecipe, Recipe
from multitask.tab_separated import error_at, read_text, show
from multitask.tables import PREPROCESS, Task

Tagger = Callable[[list[str]], list[str]]  # the words of a text -> the name of each one's tag

# a tag's number is its place; 0 is for what no tag is known of
TAGS = ("unknown", *"""CC CD DT EX FW IN JJ JJR JJS LS MD NN NNS NNP NNPS PDT POS PRP PRP$ RB RBR RBS RP SYM TO UH
    VB VBD VBG VBN VBP VBZ WDT WP WP$ WRB # $ . , : ( ) " `` ''""".split())
TAG_NUMBERS = {tag: number for number, tag in enumerate(TAGS)}

WORD = re.compile(r"(?<![\w'’-])[A-Za-z]+(?![\w'’-])")  # not a part of "don't" or "well-made"
ENDING = re.compile(r"(ing|ed|ly|(?<![siu])s)$")  # the last: plurals, but not "class", "this", "focus"
NEIGHBOURS = 8  # the nearest ones that are looked at
ROWS = 1024  # words that are compared with all others at a time

# Words near each other in BERT's embeddings for which the neighbour says something else. First: never replaced.
KEPT_WORDS = frozenset("""
    the and but for nor yet not its his her hers him himself herself itself they them their theirs themselves you your
    yours yourself our ours ourselves she who whom whose which what when where why how that this these those there here
    with without within from into onto upon about above below over under between among through during before after since
    until while because although though unless than then thus also too very just only even still such some any each every
    all both either neither few many much more most less least several other another same own one none nothing
    something anything everything nobody somebody anybody everybody someone anyone everyone are was were been being have
    has had having does did doing done can could may might must shall should will would ought let get got per via never
    always often sometimes ever again once twice out off down away back near far left right
    two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion half third quarter
    first second fourth fifth sixth seventh eighth ninth tenth zero
    monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
    october november december spring summer autumn winter red blue green yellow black white brown orange pink purple gray
    grey""".split())
# Second: no word left of the bar stands for one right of it, nor the other way round.
OPPOSITES = """
    good great nice fine better best excellent|bad terrible awful poor worse worst horrible; hot warm warmer|cold cool cooler;
    up upper upward|down lower downward; high higher highest|low lower lowest; male man men boy boys|female woman women girl
    girls; father fathers dad|mother mothers mom; son sons|daughter daughters; brother brothers|sister sisters; husband
    husbands|wife wives; king kings|queen queens; uncle|aunt; actor|actress; big large huge bigger larger|small little tiny
    smaller; long longer longest|short shorter shortest; old older|young younger new newer; early earlier|late later; fast
    faster quick quicker quickly|slow slower slowly; easy easier easily|hard harder difficult; strong stronger|weak weaker;
    rich|poor; happy happily glad|sad sadly unhappy; funny interesting exciting|serious sad boring dull; win wins won
    winning|lose loses lost losing; love loves loved loving like likes liked|hate hates hated hating dislike; buy buys bought
    buying|sell sells sold selling; start begin open|stop end close finish; opening starting|closing ending; gain gained|lose
    lost loss; come coming came|go going went; increase increased increasing|decrease decreased decreasing reduce; rise rising
    rose|fall falling fell; push pushing|pull pulling; give gave giving|take took taking; inside indoor|outside outdoor; true
    truth|false lie; correct|wrong incorrect; possible|impossible; legal|illegal; safe safer|dangerous unsafe; public|private;
    north northern|south southern; east eastern|west western; day days morning|night nights evening; life living alive
    live|death dying dead die; war|peace; friend friends|enemy enemies; success successful|failure failed; positive|negative;
    major|minor; full|empty; wet|dry; light bright|dark heavy; rough|smooth; question questions|answer answers; past|future;
    advantage advantages|disadvantage disadvantages; maximum|minimum; import|export; internal|external; thick|thin;
    superior|inferior; useful|useless; grandfather|grandmother; comfortable|painful; hope|fear; hero heroes|villain villains;
    beautiful pretty|ugly; brilliant|mediocre stupid dumb; clever smart|stupid dumb; often frequently|rarely seldom
    occasionally; prefix|suffix"""


def tag_examples(examples: Sequence[Example], recipe: Recipe, tokenizer: BertTokenizer) -> list[Example]:
    """The examples with the part of speech of every piece, or as they are where the recipe asks for none."""
    if recipe.features.part_of_speech == "none":
        return list(examples)
    tagger = make_tagger(recipe.features)
    return [replace(example, tags=tuple(tag_pieces(ids, tokenizer, tagger) for ids in example.pieces)) for example in examples]


def tag_pieces(ids: Sequence[int], tokenizer: BertTokenizer, tagger: Tagger) -> list[int]:
    """One tag number per piece of a text.

    1. Join the pieces to words: one with ## goes on where the one before ended. 2. Tag the words. 3. Give each of a
    word's pieces the word's tag; a tag that is not in TAGS, [UNK] and other special tokens have 0.
    The tagger sees the words as BERT does: punctuation is a word ("don", "'", "t"), and an uncased model has no capitals.
    """
    words: list[str] = []
    lengths: list[int] = []  # of each word, in pieces
    for piece in tokenizer.ids_to_tokens(ids):
        if words and piece.startswith("##"):
            words[-1] += piece[2:]
            lengths[-1] += 1
        else:
            words.append(piece)
            lengths.append(1)
    numbers = [0 if word in SPECIAL_TOKENS else TAG_NUMBERS.get(tag, 0) for word, tag in zip(words, tagger(words), strict=True)]
    return [number for number, length in zip(numbers, lengths, strict=True) for _ in range(length)]


def make_tagger(features: FeaturesRecipe) -> Tagger:
    """The recipe's tagger. Raises MinbertError where its package or its file is missing or wrong."""
    if features.part_of_speech == "file":
        tags = read_tags(Path(features.tag_file))
        return lambda words: [tags.get(word.lower(), "unknown") for word in words]
    try:
        from textblob.en import parser  # what PatternTagger asks; here it leaves the words as they are
    except ImportError as error:
        raise MinbertError(f"part_of_speech = 'textblob' needs the package {error.name}",
                           "pip install textblob (nltk comes with it; their data files are not needed), or give a tag_file"
                           ) from error
    return lambda words: [tag for _, tag in parser.find_tags(words)]


def read_tags(path: Path) -> dict[str, str]:
    """Word -> tag of a file with lines WORD, tab, TAG. Raises MinbertError, which names file and line."""
    entries = read_entries(path)
    for line, tag in entries.values():
        if tag not in TAGS[1:]:
            raise error_at(path, line, f"{show(tag)} is no Penn Treebank tag", f"known are {' '.join(TAGS[1:])}")
    return {word: tag for word, (_, tag) in entries.items()}


def read_synonyms(path: Path) -> dict[str, list[str]]:
    """Word -> synonyms of a file with lines WORD, tab, SYNONYM,SYNONYM. Raises MinbertError, which names file and line."""
    synonyms = {}
    for word, (line, listed) in read_entries(path).items():
        synonyms[word] = [synonym.strip() for synonym in listed.split(",")]
        if not all(synonyms[word]) or word in synonyms[word]:
            raise error_at(path, line, f"{show(listed)}: a synonym is empty or the word itself",
                           "write WORD, a tab, then other words with commas between")
    return synonyms


def read_entries(path: Path) -> dict[str, tuple[int, str]]:
    """Lower-case word -> (line, what stands behind the tab)."""
    entries: dict[str, tuple[int, str]] = {}
    for line, text in enumerate(read_text(path)[0].split("\n"), 1):
        if not text.strip():
            continue
        fields = [field.strip() for field in text.split("\t")]
        if len(fields) != 2 or not all(fields):
            raise error_at(path, line, f"{show(text)} is not a word, a tab, and what is said of it", "mend or drop the line")
        word, value = fields[0].lower(), fields[1]
        if word in entries:
            raise error_at(path, line, f"{show(word)} is already on line {entries[word][0]}", "drop one of the two")
        entries[word] = line, value
    return entries


def augment(examples: Sequence[Example], task: Task, recipe: Recipe, tokenizer: BertTokenizer, embedding_VD: Tensor,
            seed: int) -> list[Example]:
    """New examples to train on besides the given ones, no more than these: copies in which one or two words of one text
    are replaced, with the label of the original, "~1" after its id, and no tags yet.

    A text of which no word can be replaced has no copy. Only words in small letters are replaced, since others may be
    names. `embedding_VD` holds the word vectors of the pre-trained model; seed, task and examples decide what is drawn.
    Where a stage trains on a part only, take the part first, or a copy may be in another part than its original.
    Beware: the label is kept, but it need not be right any more. Neighbours are often related words, not synonyms (cat,
    dog), and where one question of a pair asks for another thing, the two are no paraphrase any longer.
    """
    settings = recipe.features
    if settings.synonyms == "none":
        return []
    synonyms = (read_synonyms(Path(settings.synonym_file)) if settings.synonyms == "file"
                else find_neighbours(examples, settings, tokenizer, embedding_VD))
    generator = make_generator(seed, task.name, "synonyms")
    copies = []
    for example in examples:
        sides = [side for side, text in enumerate(example.texts) if any(word in synonyms for word in WORD.findall(text))]
        if sides:
            side = sides[draw(len(sides), generator)]
            text = replace_words(example.texts[side], synonyms, generator)
            texts, pieces = list(example.texts), list(example.pieces)
            texts[side], pieces[side] = text, tokenizer.text_to_ids(PREPROCESS[recipe.preprocess](text, task))
            copies.append(Example(f"{example.id}~1", tuple(texts), example.label, tuple(pieces)))
    return copies


def draw(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))


def replace_words(text: str, synonyms: dict[str, list[str]], generator: torch.Generator) -> str:
    """The text with one or two of the words that have synonyms replaced, the rest as it was.

    1. Find the words that can be replaced. 2. Draw one or two of them. 3. Put in a synonym for each, the last first.
    """
    found = [match for match in WORD.finditer(text) if match[0] in synonyms]
    count = 1 + draw(2, generator)
    for place in sorted(torch.randperm(len(found), generator=generator)[:count].tolist(), reverse=True):
        word = found[place]
        choice = synonyms[word[0]]
        text = text[:word.start()] + choice[draw(len(choice), generator)] + text[word.end():]
    return text


def find_neighbours(examples: Sequence[Example], features: FeaturesRecipe, tokenizer: BertTokenizer,
                    embedding_VD: Tensor) -> dict[str, list[str]]:
    """Word -> the nearest other word (a list of one), for the content words of the examples that have one near enough.

    1. Sort the content words into classes: by tag where the recipe has a tagger, which judges each word alone, else by
    their ending (-ing, -ed, -ly, plural, other), so that grammar more or less survives.
    2. In each class take the word with the greatest cosine, above `similarity`, that is neither an opposite nor a form
    of the same word ("small" and "smaller", "able" and "unable").
    """
    tagger = None if features.part_of_speech == "none" else make_tagger(features)
    classes: dict[str, list[str]] = {}
    for word in find_content_words(examples, tokenizer):
        ending = ENDING.search(word)
        classes.setdefault(tagger([word])[0] if tagger else ending[0] if ending else "", []).append(word)
    opposites, neighbours = read_opposites(), {}
    for words in classes.values():
        ids = [tokenizer.text_to_ids(word)[0] for word in words]
        unit_ND = F.normalize(embedding_VD.detach()[ids].float(), dim=1)
        nearest = [row for unit_MD in unit_ND.split(ROWS)
                   for row in zip(*map(Tensor.tolist, (unit_MD @ unit_ND.T).topk(min(NEIGHBOURS, len(words)))), strict=True)]
        for word, (cosines, places) in zip(words, nearest, strict=True):
            near = [words[place] for cosine, place in zip(cosines, places, strict=True) if cosine > features.similarity]
            fitting = [other for other in near if not is_form(word, other) and (word, other) not in opposites]
            if fitting:
                neighbours[word] = fitting[:1]
    return neighbours


def find_content_words(examples: Sequence[Example], tokenizer: BertTokenizer) -> list[str]:
    """The words of the texts that are one piece, have three letters or more, carry meaning of their own, and are not
    names: more often with a capital than without."""
    counts = Counter(word for example in examples for text in example.texts for word in WORD.findall(text))
    return [word for word, count in sorted(counts.items())
            if word.islower() and len(word) > 2 and word not in KEPT_WORDS and count >= counts[word.capitalize()]
            and tokenizer.tokenize(word) == [word]]


def is_form(word: str, other: str) -> bool:
    """Whether two words look like one with other endings or a prefix: the first four letters, or the ends, are the same."""
    count = min(4, len(word), len(other))
    return word[:count] == other[:count] or word.endswith(other) or other.endswith(word)


def read_opposites() -> set[tuple[str, str]]:
    """Every pair of OPPOSITES, both ways round."""
    pairs = set()
    for group in OPPOSITES.split(";"):
        left, right = (side.split() for side in group.split("|"))
        pairs |= {pair for a in left for b in right for pair in ((a, b), (b, a))}
    return pairs
