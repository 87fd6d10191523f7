"""The words by which people stop marketing messages, and by which they want them again, by language.

A word counts only as the whole message or the whole button (`domain.keywords`). So a word that is also common in other
sentences, such as CANCEL, may be here. Stop words of English are those of the rules for text messages in the USA (CTIA,
FCC: stop, stopall, unsubscribe, cancel, end, quit, revoke, opt out), and Meta's button "Stop promotions". WhatsApp
itself gives no word a meaning, so a business interprets them (Meta, messages webhooks).
"""

from __future__ import annotations

STOP_WORDS: dict[str, tuple[str, ...]] = {
    "en": (
        "stop", "stop all", "stopall", "stop it", "stop please", "please stop", "stop now", "stop messages",
        "stop messaging me", "stop promotions", "stop promo", "stop marketing", "unsubscribe", "unsubscribe me",
        "unsub", "opt out", "optout", "cancel", "end", "quit", "revoke", "remove me", "no more messages",
    ),
    "de": (
        "stopp", "stoppen", "bitte stoppen", "abmelden", "abbestellen", "austragen", "abmeldung", "werbung stoppen",
        "keine werbung", "keine werbung mehr", "keine nachrichten mehr",
    ),
    "es": (
        "baja", "dar de baja", "darme de baja", "darse de baja", "cancelar", "cancelar suscripción", "parar", "alto",
        "detener", "detener promociones", "no más mensajes", "salir",
    ),
    "pt": (
        "sair", "parar", "pare", "cancelar", "cancelar inscrição", "descadastrar", "descadastre", "remover",
        "parar promoções", "interromper promoções", "não quero receber", "não quero mais receber",
    ),
    "fr": (
        "arrêt", "arrêter", "arrêtez", "désabonner", "désabonnement", "se désabonner", "désinscription",
        "désinscrire", "se désinscrire", "stop pub", "arrêter les promotions", "plus de messages",
    ),
    "it": (
        "ferma", "fermare", "basta", "annulla", "annulla iscrizione", "cancellami", "disiscrivimi", "disiscrizione",
        "interrompi", "interrompi promozioni",
    ),
    "nl": ("afmelden", "uitschrijven", "afmelding", "geen berichten meer", "stop reclame"),
    "sv": ("stoppa", "avsluta", "avregistrera", "avanmäl"),
    "da": ("afmeld", "frameld", "stop beskeder"),
    "no": ("stopp", "avslutt", "avmeld", "meld av"),
    "fi": ("lopeta", "peruuta", "peru tilaus"),
    "pl": ("wypisz", "wypisz mnie", "rezygnuję", "rezygnacja", "zrezygnuj"),
    "cs": ("odhlásit", "odhlásit odběr", "zrušit", "konec"),
    "ro": ("dezabonare", "dezabonează", "oprește", "opriți"),
    "hu": ("leiratkozás", "leiratkozom", "leállítás"),
    "el": ("στοπ", "διακοπή", "διαγραφή", "απεγγραφή"),
    "tr": ("dur", "durdur", "iptal", "ret", "abonelikten çık", "üyelikten çık"),
    "ru": ("стоп", "отписаться", "отписка", "отпишите", "отменить", "хватит"),
    "uk": ("стоп", "відписатися", "відписка", "відпишіть"),
    "ar": ("توقف", "قف", "إيقاف", "ايقاف", "أوقف", "إلغاء", "إلغاء الاشتراك", "الغاء الاشتراك"),
    "fa": ("توقف", "لغو", "لغو اشتراک"),
    "he": ("עצור", "הסר", "הסירו", "הסר אותי", "הסירו אותי", "להסיר", "הסרה"),
    "hi": ("रोकें", "रोको", "बंद करें", "बंद करो", "स्टॉप"),
    "ur": ("روکیں", "بند کریں", "بند کرو"),
    "id": ("berhenti", "berhenti berlangganan", "stop langganan"),
    "ms": ("henti", "berhenti", "berhenti melanggan"),
    "vi": ("dừng", "dừng lại", "hủy", "hủy đăng ký", "từ chối"),
    "th": ("หยุด", "ยกเลิก", "ยกเลิกการรับข่าวสาร"),
    "zh": ("停止", "退订", "退訂", "取消订阅", "取消訂閱", "td"),
    "ja": ("停止", "配信停止", "解除", "購読解除", "ストップ"),
    "ko": ("수신거부", "중지", "정지", "구독취소", "구독 취소"),
    "sw": ("acha", "simama", "jiondoe"),
}  # fmt: skip
"""Words that stop marketing messages. Most people write STOP in any language, so `stop` stands once."""

START_WORDS: dict[str, tuple[str, ...]] = {
    "en": ("start", "unstop", "subscribe", "resubscribe", "opt in", "optin", "resume", "resume promotions"),
    "de": ("anmelden", "abonnieren", "wieder anmelden", "fortsetzen"),
    "es": ("alta", "darme de alta", "suscribir", "suscribirme", "reanudar"),
    "pt": ("voltar", "inscrever", "quero receber", "retomar"),
    "fr": ("reprendre", "s'abonner", "abonner", "réabonner"),
    "it": ("iscrivimi", "riprendi", "attiva"),
    "nl": ("aanmelden", "inschrijven", "hervatten"),
    "sv": ("starta", "prenumerera"),
    "da": ("tilmeld",),
    "no": ("meld på", "abonner"),
    "fi": ("aloita", "tilaa"),
    "pl": ("zapisz", "zapisz mnie", "wznów"),
    "cs": ("přihlásit", "obnovit"),
    "ro": ("abonare", "abonează"),
    "hu": ("feliratkozás", "feliratkozom"),
    "el": ("έναρξη", "εγγραφή"),
    "tr": ("başlat", "abone ol"),
    "ru": ("старт", "подписаться", "возобновить"),
    "uk": ("старт", "підписатися"),
    "ar": ("ابدأ", "اشتراك", "اشترك"),
    "fa": ("شروع", "اشتراک"),
    "he": ("התחל", "הצטרף", "הרשמה"),
    "hi": ("शुरू करें", "शुरू करो"),
    "ur": ("شروع کریں",),
    "id": ("mulai", "berlangganan"),
    "ms": ("mula", "langgan"),
    "vi": ("bắt đầu", "đăng ký"),
    "th": ("เริ่ม", "สมัคร"),
    "zh": ("开始", "開始", "订阅", "訂閱"),
    "ja": ("開始", "再開", "購読"),
    "ko": ("시작", "구독", "수신동의"),
    "sw": ("anza", "jiunge"),
}
"""Words that revoke a stop word of the same person. They revoke nothing else."""
