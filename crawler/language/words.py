"""Small words that decide what a request means, by language: what negates, joins, contrasts, or only asks.

They stand beside the stop words of the `stop-words` package: those say what is no keyword, these what it does instead.
Languages by ISO 639-1. No code here beyond looking them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageWords:
    """The small words of one language, in lower case.

    Attributes:
        negations: After which comes what is not wanted.
        after_negations: Before which stands what is not wanted.
        either: `or`, `nor`: in a list that began with a negation, what they join is not wanted either.
        both: `and`.
        contrasts: `but`: a negation ends there.
        joins: `of`, as long as no article follows: `birds of prey` is one phrase.
        elided: What stands before an apostrophe and belongs to no phrase: the article in `l'automne`.
        glued: What stands before an apostrophe and belongs to the phrase, as `joins`: `d'or`.
        fixed: Phrases with small words in them.
        skipped: Stop words that do not end a phrase.
        asks: What asks for pictures and is in none: `photos of`, `wallpaper`.
        seen: Stop words of the list that are things or qualities one sees, and so are keywords after all.
        parts: Words beyond the list that only say how things stand to one another.
        head_first: Whether the noun comes before what describes it; a phrase that is too long keeps its noun.
    """

    negations: str = ""
    after_negations: str = ""
    either: str = ""
    both: str = ""
    contrasts: str = ""
    joins: str = ""
    elided: str = ""
    glued: str = ""
    fixed: str = ""
    skipped: str = ""
    asks: str = ""
    seen: str = ""
    parts: str = ""
    head_first: bool = False


WORDS: Mapping[str, LanguageWords] = {
    "en": LanguageWords(
        negations="no|not|without|except|except for|excluding|exclude|excludes|minus|avoid|w/o|neither|free of|with no"
        "|no more|rather than|instead of|other than|none of|devoid of",
        either="or|nor",
        both="and|&|plus",
        contrasts="but|though|although|however|yet",
        joins="of",
        fixed="black and white",
        asks="photo|photos|photograph|photographs|picture|pictures|image|images|pic|pics|shots|snapshots|wallpaper"
        "|wallpapers|photography|show|find|collect|fetch|download|search|want|need|please|lots|group|groups|bunch|pair",
        seen="bill|bottom|face|faces|fire|hell|home|invention|key|keys|men|mill|mine|mug|novel|old|older|oldest|open|page"
        "|pages|ring|room|rooms|shed|state|states|system|top|web|website|computer|empty|young|younger|youngest|world|wells"
        "|well|wide|thick|thin|small|little|big|high|cry|ship|long|front|edge",
        parts="surrounded|featuring|featured|wearing|standing|sitting|lying|hanging|depicting|located|taken|shot"
        "|surrounding|covering|filled|made|overgrown",
    ),
    "de": LanguageWords(
        negations="ohne|kein|keine|keinen|keinem|keiner|keines|nicht|außer|ausgenommen|weder|abgesehen von"
        "|bis auf|frei von",
        either="oder|noch",
        both="und|sowie",
        contrasts="aber|sondern|jedoch|doch",
        asks="bild|bilder|bildern|foto|fotos|fotografie|fotografien|aufnahme|aufnahmen|suche|zeige|zeig|finde|möchte"
        "|bitte|hätte|gern|gerne",
        parts="vor|am|an|bei|beim|ins|aufs|ans|zur|zum|umgeben|bedeckt|statt|entlang|neben|mitten|am|mehrere|viele|zwei"
        "|drei|vier|fünf|paar",
    ),
    "fr": LanguageWords(
        negations="sans|pas|pas de|aucun|aucune|sauf|excepté|hormis|hors|à l'exception de|ni|non",
        either="ou|ni",
        both="et",
        contrasts="mais|cependant",
        joins="de",
        elided="l|j|m|t|s|c|n|qu|jusqu|lorsqu|puisqu",
        glued="d",
        asks="photo|photos|photographie|photographies|image|images|cherche|montre|montrez|trouve|voudrais|veux",
        seen="personne|personnes|grand|grande|haut|droite|mine|pièce|voie|nouveau|nouveaux|plein",
        parts="près|autour|deux|trois|quatre|cinq|plusieurs|quelques|svp",
        head_first=True,
    ),
    "es": LanguageWords(
        negations="sin|no|excepto|salvo|menos|ni|ningún|ninguna|ninguno|a excepción de",
        either="o|u|ni",
        both="y|e",
        contrasts="pero|sino|aunque",
        joins="de",
        asks="foto|fotos|fotografía|fotografías|imagen|imágenes|busco|buscar|quiero|muestra|muéstrame",
        seen="gran|grandes|nuevo|nueva|nuevos|nuevas|largo",
        parts="del|al|dos|tres|varios|varias|junto|alrededor",
        head_first=True,
    ),
    "it": LanguageWords(
        negations="senza|no|non|né|tranne|eccetto|salvo|nessun|nessuno|nessuna|niente|a parte",
        either="o|oppure|né",
        both="e|ed",
        contrasts="ma|però|bensì",
        joins="di",
        elided="l|un|all|dell|nell|sull|dall|coll|quell|bell|c|s|gl",
        glued="d",
        asks="foto|fotografia|fotografie|immagine|immagini|cerco|voglio|vorrei|mostrami",
        seen="gente|persone|persona|grande|gran|nuovo|nuovi|lungo",
        parts="due|tre|quattro|presso|vicino|al|ai|alla|agli|alle|col",
        head_first=True,
    ),
    "pt": LanguageWords(
        negations="sem|não|nem|exceto|excepto|salvo|menos|nenhum|nenhuma",
        either="ou|nem",
        both="e",
        contrasts="mas|porém",
        joins="de",
        asks="foto|fotos|fotografia|fotografias|imagem|imagens|procuro|quero|mostre",
        seen="cara|povo|pera|novo|caminho|comprido",
        parts="no|na|nos|nas|ao|aos|à|às|dois|duas|três|vários|várias|perto|pelo|pela",
        head_first=True,
    ),
    "ca": LanguageWords(
        negations="sense|no|ni|excepte|llevat de|cap",
        either="o|ni",
        both="i",
        contrasts="però|sinó",
        joins="de",
        elided="l|s|n|m|t",
        glued="d",
        asks="foto|fotos|imatge|imatges|vull|cerco",
        head_first=True,
    ),
    "ro": LanguageWords(
        negations="fără|nu|niciun|nicio|cu excepția|exceptând",
        either="sau|nici",
        both="și|şi",
        contrasts="dar|ci|însă",
        joins="de",
        asks="fotografie|fotografii|poză|poze|imagine|imagini|caut|vreau",
        head_first=True,
    ),
    "nl": LanguageWords(
        negations="zonder|geen|niet|behalve|uitgezonderd|noch",
        either="of|noch",
        both="en",
        contrasts="maar|echter",
        asks="foto|foto's|fotos|afbeelding|afbeeldingen|plaatje|plaatjes|zoek|toon|graag",
        seen="meer",
        parts="bij|aan|langs|naast|boven|twee|drie|vier|enkele",
    ),
    "sv": LanguageWords(
        negations="utan|inga|ingen|inget|inte|förutom|ej|utom",
        either="eller|varken",
        both="och",
        contrasts="men|dock",
        asks="bild|bilder|foto|foton|fotografi|fotografier|sök|visa",
        seen="stor|stora|stort|liten|lilla|lite|små",
        parts="på|vid|två|tre|några|bredvid",
    ),
    "da": LanguageWords(
        negations="uden|ingen|intet|ikke|undtagen|bortset fra",
        either="eller|hverken",
        both="og",
        contrasts="men|dog",
        asks="billede|billeder|foto|fotos|fotografi|fotografier|søg|vis",
        parts="ved|på|to|tre|hos",
    ),
    "no": LanguageWords(
        negations="uten|ingen|intet|ikke|unntatt|bortsett fra",
        either="eller|verken",
        both="og",
        contrasts="men",
        asks="bilde|bilder|foto|fotoer|fotografi|fotografier|søk|vis",
        parts="ved|på|to|tre|hos",
    ),
    "pl": LanguageWords(
        negations="bez|nie|oprócz|żadnych|żadne|prócz|z wyjątkiem",
        either="lub|albo|ani",
        both="i|oraz",
        contrasts="ale|lecz|jednak",
        asks="zdjęcie|zdjęcia|zdjęć|fotografia|fotografie|obraz|obrazy|szukam|pokaż|chcę",
        parts="nad|pod|przy|dwa|trzy",
    ),
    "cs": LanguageWords(
        negations="bez|ne|kromě|žádné|žádní|žádný|nikoli",
        either="nebo|ani",
        both="a|i",
        contrasts="ale|však",
        asks="fotka|fotky|fotografie|fotografií|obrázek|obrázky|hledám|ukaž|chci",
        parts="u|nad|pod|dva|dvě|tři",
    ),
    "sk": LanguageWords(
        negations="bez|nie|okrem|žiadne|žiadny|žiadni",
        either="alebo|ani",
        both="a|i",
        contrasts="ale|však",
        asks="fotka|fotky|fotografia|fotografie|obrázok|obrázky|hľadám|ukáž|chcem",
    ),
    "ru": LanguageWords(
        negations="без|не|нет|кроме|исключая|за исключением|ни",
        either="или|ни",
        both="и|да",
        contrasts="но|однако|зато",
        asks="фото|фотография|фотографии|фотографий|картинка|картинки|изображение|изображения|снимок|снимки|снимки|ищу"
        "|покажи|найди|хочу",
        seen="человек|люди|рука|день|жизнь",
    ),
    "uk": LanguageWords(
        negations="без|не|немає|крім|окрім|за винятком|ні",
        either="або|чи|ні",
        both="і|й|та",
        contrasts="але|однак|проте",
        asks="фото|фотографія|фотографії|зображення|картинка|картинки|шукаю|покажи|хочу",
    ),
    "bg": LanguageWords(
        negations="без|не|няма|освен|с изключение на",
        either="или|нито",
        both="и",
        contrasts="но|обаче",
        asks="снимка|снимки|фотография|фотографии|изображение|изображения|търся|искам",
    ),
    "el": LanguageWords(
        negations="χωρίς|δίχως|όχι|εκτός|εκτός από|δεν|κανένα|κανέναν|καμία",
        either="ή|ούτε",
        both="και|κι",
        contrasts="αλλά|όμως",
        asks="φωτογραφία|φωτογραφίες|εικόνα|εικόνες|ψάχνω|θέλω",
        parts="στο|στη|στην|στον|στους|στις|στα|ένας|μια|μία|ένα|του|της|των|πάνω|δίπλα|με|σε",
    ),
    "hu": LanguageWords(
        negations="nem|nincs|kivéve",
        after_negations="nélkül|nélküli|kivételével",
        either="vagy|sem",
        both="és|meg",
        contrasts="de|azonban",
        asks="kép|képek|képet|fotó|fotók|fénykép|fényképek|keresek|mutass",
    ),
    "fi": LanguageWords(
        negations="ilman|ei|eikä|paitsi|lukuun ottamatta",
        either="tai|eikä",
        both="ja|sekä",
        contrasts="mutta|vaan",
        asks="kuva|kuvia|kuvat|valokuva|valokuvia|valokuvat|etsi|näytä|haluan",
    ),
    "tr": LanguageWords(
        negations="değil",
        after_negations="olmadan|olmayan|olmasın|hariç|yok|dışında",
        either="veya|ya da|ne",
        both="ve|ile",
        contrasts="ama|fakat|ancak",
        skipped="bir",
        asks="fotoğraf|fotoğrafı|fotoğrafları|fotoğraflar|resim|resmi|resimleri|görsel|görseller|göster|istiyorum",
        parts="üzerinde|altında|yanında|içinde|kenarında",
    ),
    "ar": LanguageWords(
        negations="بدون|دون|من دون|بلا|لا|ليس|ليست|غير|عدا|ما عدا|باستثناء|سوى|خالية من|خال من",
        either="أو|ولا",
        both="و",
        contrasts="لكن|ولكن|بل",
        asks="صورة|صور|أريد|ابحث|أبحث",
        seen="صباح|مساء|يوم|قوة",
        parts="عند|بجانب|فوق|تحت|حول|أمام|بين",
        head_first=True,
    ),
    "he": LanguageWords(
        negations="בלי|ללא|לא|אין|חוץ|חוץ מ|מלבד|פרט ל|למעט",
        either="או|ולא",
        both="ו",
        contrasts="אבל|אך|אלא",
        joins="של",
        asks="תמונה|תמונות|צילום|צילומים|מחפש|מחפשת",
        parts="עם|ליד|מעל|מתחת",
        head_first=True,
    ),
    "hi": LanguageWords(
        negations="बिना|नहीं|बगैर|सिवाय",
        either="या",
        both="और|तथा|एवं",
        contrasts="लेकिन|मगर|परंतु",
        joins="का|के|की",
        asks="तस्वीर|तस्वीरें|फोटो|चित्र|दिखाओ|चाहिए",
        seen="घर",
        parts="वाली|वाला|वाले|में|पर",
    ),
    "id": LanguageWords(
        negations="tanpa|tidak|bukan|kecuali|jangan|selain|tidak ada",
        either="atau|maupun",
        both="dan|serta",
        contrasts="tapi|tetapi|namun",
        joins="yang",
        asks="foto|gambar|cari|tampilkan|ingin",
        seen="kecil|besar|kelima|panjang",
        head_first=True,
    ),
    "ko": LanguageWords(
        after_negations="없는|없이|없음|없고|없다|없어야|제외|제외하고|제외한|빼고|말고|아닌|아니라",
        either="또는|이나|혹은",
        both="그리고|및",
        contrasts="하지만|그러나",
        asks="사진|사진들|이미지|그림|찾아줘|보여줘|모아줘|주세요",
        parts="있는|있고|위|위의|위에|아래|아래의|아래에|안|안의|안에|속|속의|속에|옆|옆의|옆에|앞|앞의|앞에|뒤|뒤의|뒤에|두|세|한",
    ),
}
"""Language -> its small words. Japanese, Chinese and Thai, written without spaces, are read by other rules."""
